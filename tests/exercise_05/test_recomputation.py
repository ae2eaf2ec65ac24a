"""The recomputation of the log, which the demonstration trusts, against plain Python."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from exercise_05_streaming.production import verify
from exercise_05_streaming.verify import Record, accepted_events, recompute_tiles
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


@pytest.mark.slow
@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(events=events_near(NOON))
def test_it_equals_the_definitions(events: list[Event]) -> None:
    tiles = {(event.user, event.time // TILE_MS) for event in events}
    log = [(message(e).encode(), e.time) for e in events]
    assert recompute_tiles(accepted_events(log)).rows(named=True) == [
        tile_of([e for e in events if (e.user, e.time // TILE_MS) == tile])
        for tile in sorted(tiles)
    ]


def log(*events: object, record_ms: int = NOON) -> list[Record]:
    return [(json.dumps(event).encode(), record_ms) for event in events]


def of(*events: object, record_ms: int = NOON) -> pl.DataFrame:
    return recompute_tiles(accepted_events(log(*events, record_ms=record_ms)))


def test_what_is_too_late_or_too_far_ahead_does_not_count() -> None:
    late, ahead = settings.allowed_lateness, settings.allowed_ahead
    for allowed in (late, -ahead):
        edge = NOON + int(allowed.total_seconds() * 1_000)
        beyond = edge + (1 if allowed == late else -1)
        assert of(ROUND, record_ms=edge)["transaction_count"].to_list() == [1]
        assert of(ROUND, record_ms=beyond).is_empty()


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ("998e-13", [0]),
        ("5e-3", [1]),
        ("1e-99", [0]),
        ("0e99", [0]),
        ("000000000000000001", [100]),
        ("12345E-3", [1_235]),
        ("100000000000000000e-15", [10_000]),
        ("600.55e8", []),
        ("9999999999.994", [999_999_999_999]),
        ("9999999999.995", []),
        ("-0.0", []),
        ("1e400", []),
    ],
)
def test_an_amount_is_exact_whatever_its_exponent(amount: str, cents: list[int]) -> None:
    assert of(ROUND | {"amount": amount})["total_cents"].to_list() == cents


@pytest.mark.parametrize("clock", ["24:00:00", "23:59:60", "001:2:03", "24:00:00Z"])
def test_a_time_that_no_clock_shows_does_not_count(clock: str) -> None:
    midnight = NOON + 12 * 60 * MINUTE
    day = datetime.fromtimestamp(NOON / 1_000, UTC).date()
    assert of(ROUND | {"event_time": f"{day}T{clock}"}, record_ms=midnight).is_empty()


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


WHOLE = json.dumps(ROUND)


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        (f"{WHOLE} and more", 1),
        (f"[{WHOLE},{WHOLE} , 7, {WHOLE}]", 2),
        (f"[null, {WHOLE}]", 0),
        (f"[{WHOLE}, {WHOLE[:-1]}]", 1),
        (f"{WHOLE}, {WHOLE}", 1),
        (f'{WHOLE[:-1]}, "note": "a\tb"}}', 1),
        (f'{WHOLE[:-1]}, "amount": null}}', 1),
        (f'{WHOLE[:-1]}, "note": NaN}}', 0),
        (f"\N{NO-BREAK SPACE}{WHOLE}", 0),
        (f"\N{BYTE ORDER MARK}{WHOLE}", 1),
        (WHOLE[:-1], 0),
        ("[" * 100_000, 0),
    ],
)
def test_a_record_is_read_as_by_flinks_json_format(record: str, counted: int) -> None:
    """Each was seen in the job, too."""
    assert len(accepted_events([(record.encode(), NOON)])) == counted


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_an_encoding_is_detected(encoding: str) -> None:
    assert len(accepted_events([(WHOLE.encode(encoding), NOON)])) == 1
