"""The recomputation of the log in SQL, which the demonstration trusts, against plain Python."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from exercise_05_streaming.production import verify
from exercise_05_streaming.verify import accepted_events, recompute_tiles
from lab.settings import settings
from tests.exercise_05.tiles_by_hand import (
    MINUTE,
    NOON,
    TILE_MS,
    Event,
    events_near,
    tile_of,
)

ROUND = {"user_id": "user_0", "amount": 1, "event_time": "2024-10-04T12:00:00"}


def message(event: Event) -> str:
    time = datetime.fromtimestamp(event.time / 1_000, UTC)
    return json.dumps(
        {
            "user_id": event.user,
            "amount": event.cents / 100,
            "is_approved": not event.declined,
            "event_time": time.isoformat(timespec="milliseconds").replace("+00:00", ""),
        }
    )


def log_of(messages: list[str], times: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"value": [text.encode() for text in messages], "record_ms": times},
        schema={"value": bytes, "record_ms": int},
    )


@pytest.mark.slow
@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(events=events_near(NOON))
def test_it_counts_what_the_definitions_say(events: list[Event]) -> None:
    tiles = {(event.user, event.time // TILE_MS) for event in events}
    log = log_of([message(e) for e in events], [e.time for e in events])
    assert recompute_tiles(accepted_events(log)).rows(named=True) == [
        tile_of([e for e in events if (e.user, e.time // TILE_MS) == tile])
        for tile in sorted(tiles)
    ]


def log(*events: object, record_ms: int = NOON) -> pl.DataFrame:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return log_of(texts, [record_ms] * len(texts))


def of(*events: object, record_ms: int = NOON) -> pl.DataFrame:
    return recompute_tiles(accepted_events(log(*events, record_ms=record_ms)))


def accepted(tiles: pl.DataFrame) -> int:
    return int(tiles["transaction_count"].sum())


@pytest.mark.parametrize(
    "wrong",
    [
        "no JSON",
        "[]",
        json.dumps(ROUND) + " and more",
        json.dumps(ROUND) + json.dumps(ROUND),
        json.dumps(ROUND).replace("1,", "01,"),
        {},
        ROUND | {"user_id": None},
        ROUND | {"user_id": ""},
        ROUND | {"amount": None},
        ROUND | {"amount": -1},
        ROUND | {"amount": float("nan")},
        ROUND | {"event_time": "2024-02-30T12:00:00"},
        ROUND | {"event_time": "yesterday"},
        ROUND | {"event_time": "2024-10-04T12:00:00+02:00"},
        ROUND | {"event_time": "2024-10-04T14:00:00+02:00"},
        ROUND | {"event_time": "2024-10-04T12:00:00 UTC"},
        ROUND | {"event_time": "2024-10-04T12:00"},
        ROUND | {"user_id": "x" * 257},
        ROUND | {"amount": 10**10},
        ROUND | {"amount": "1_000"},
    ],
)
def test_what_is_malformed_does_not_count(wrong: object) -> None:
    assert accepted(of(wrong, ROUND)) == 1


def test_what_is_too_late_or_too_far_ahead_does_not_count() -> None:
    late, ahead = settings.allowed_lateness, settings.allowed_ahead
    for allowed in (late, -ahead):
        edge = NOON + int(allowed.total_seconds() * 1_000)
        beyond = edge + (1 if allowed == late else -1)
        assert accepted(of(ROUND, record_ms=edge)) == 1
        assert accepted(of(ROUND, record_ms=beyond)) == 0


def test_a_transaction_counts_once_in_production() -> None:
    twice = ROUND | {"transaction_id": "one"}
    records = log(twice, twice, ROUND | {"transaction_id": "two"}, ROUND, ROUND)
    assert len(accepted_events(records)) == 5
    assert len(verify.accepted_events(records)) == 4


def test_ids_are_per_user_a_blank_one_is_none_and_a_refused_event_has_none() -> None:
    one = ROUND | {"transaction_id": "one"}
    blank = [ROUND | {"transaction_id": text} for text in ("", "", " ", " ")]
    records = log(one | {"amount": -1}, one, one | {"user_id": "user_1"}, *blank)
    assert len(verify.accepted_events(records)) == 6


@pytest.mark.parametrize(
    ("is_approved", "declined"),
    [(True, 0), (False, 1), ("true", 0), ("false", 1), ("FALSE", 0), (0, 0), (1, 0), (None, 0)],
)
def test_a_payment_is_declined_by_false_alone(is_approved: object, declined: int) -> None:
    event = ROUND | {"is_approved": is_approved}
    assert of(event)["declined_count"].to_list() == [declined]


@pytest.mark.parametrize(
    ("amount", "cents"), [("1.005", 101), ("0.125", 13), ("12", 1_200), ("1e2", 10_000)]
)
def test_amounts_are_rounded_as_decimals(amount: str, cents: int) -> None:
    event = json.dumps(ROUND).replace('"amount": 1', f'"amount": {amount}')
    assert of(event)["total_cents"].to_list() == [cents]


def test_a_tile_begins_with_its_first_moment() -> None:
    event = ROUND | {"event_time": "2024-10-04T12:05:00Z"}
    assert of(event, record_ms=NOON + 5 * MINUTE)["tile_start"].to_list() == [
        (NOON + TILE_MS) // 1_000
    ]
