"""Every feature column against a recomputation in plain Python, and its rows' arrival times."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab.dataset.features import build_feature_tables
from lab.dataset.tables import FEATURE_TABLES, RAW_TABLES
from lab.settings import settings

Row = dict[str, Any]
Values = tuple[Any, ...]
Events = dict[str, list[Row]]

START = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday
AS_OF = START + timedelta(days=34, hours=7, minutes=30)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TILE = timedelta(minutes=5)
GAP = timedelta(minutes=30)
MICROSECOND = timedelta(microseconds=1)


def hours(first: datetime, until: datetime) -> Iterator[datetime]:
    moment = floor(first, HOUR) + HOUR
    while moment <= until:
        yield moment
        moment += HOUR


def floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - START) % step


def before(rows: Iterable[Row], moment: datetime, window: timedelta | None = None) -> list[Row]:
    return [
        row
        for row in rows
        if row["event_timestamp"] < moment
        and (window is None or row["event_timestamp"] >= moment - window)
    ]


def dollars(rows: list[Row]) -> float:
    return sum(round(row["amount"] * 100) for row in rows) / 100.0


def single(value: float | None) -> float | None:
    return None if value is None else float(np.float32(value))


def mean(rows: list[Row]) -> float | None:
    return dollars(rows) / len(rows) if rows else None


def user_stats(events: Events, user: str, t: datetime) -> Values:
    mine = [row for row in events["transactions"] if row["user_id"] == user]
    month = before(mine, t, timedelta(days=30))
    return (
        len(before(mine, t, timedelta(days=7))),
        len(month),
        single(mean(before(mine, t))),
        single(dollars(month)),
    )


def merchant_stats(events: Events, merchant: str, t: datetime) -> Values:
    def known_share(table: str) -> float | None:
        if table not in events:
            return None
        known = {
            row["transaction_id"]
            for row in before(events[table], t)
            if row["merchant_id"] == merchant
        }
        return single(len(known) / len(before(mine, t)))

    def reported(window: timedelta) -> int | None:
        if "chargebacks" not in events:
            return None
        rows = [row for row in events["chargebacks"] if row["merchant_id"] == merchant]
        return len(before(rows, t, window))

    mine = [row for row in events["transactions"] if row["merchant_id"] == merchant]
    month, day = (before(mine, t, timedelta(days=days)) for days in (30, 1))
    return (
        known_share("chargebacks"),
        known_share("refunds"),
        len(month),
        single(len(day) / (len(month) / 30)) if month else None,
        reported(timedelta(days=30)),
    )


def product_stats(events: Events, product: str, t: datetime) -> Values:
    def of(table: str, days: int) -> int:
        rows = [row for row in events.get(table, []) if row["product_id"] == product]
        return len(before(rows, t, timedelta(days=days)))

    views, purchases = of("product_views", 30), of("transactions", 30)
    known = "product_views" in events
    rate = single(purchases / views) if views else None
    return of("product_views", 7) if known else None, purchases, rate


def user_preferences(events: Events, user: str, t: datetime) -> Values:
    mine = before([row for row in events["transactions"] if row["user_id"] == user], t)
    last = max(mine, key=lambda row: (row["event_timestamp"], row["transaction_id"]))
    weekend = [row for row in mine if row["event_timestamp"].weekday() >= 5]
    products = {row["product_id"] for row in mine}
    share = single(len(weekend) / len(mine))
    return last["product_id"], last["merchant_id"], len(products), share


def user_streaming(events: Events, user: str, t: datetime) -> Values:
    mine = [row for row in events["transactions"] if row["user_id"] == user]
    begins = (floor(t, TILE), floor(t, TILE) - 11 * TILE, floor(t, HOUR) - 23 * HOUR)
    windows = [before(mine, t, t - begin) for begin in begins]
    session = running_session(before(mine, t), t)
    return tuple(value for rows in (*windows, session) for value in streaming_values(rows))


def streaming_values(rows: list[Row]) -> Values:
    return (
        len(rows),
        dollars(rows),
        mean(rows),
        max((row["amount"] for row in rows), default=None),
        sum(not row["is_approved"] for row in rows),
    )


def running_session(mine: list[Row], t: datetime) -> list[Row]:
    session: list[Row] = []
    for row in sorted(mine, key=lambda row: row["event_timestamp"]):
        if session and row["event_timestamp"] - session[-1]["event_timestamp"] > GAP:
            session = []
        session.append(row)
    return session if session and t - session[-1]["event_timestamp"] < GAP else []


def streaming_changes(events: Events, user: str) -> set[datetime]:
    """Return the times when an event begins to count, leaves a window, or ends a session."""
    times = [row["event_timestamp"] for row in events["transactions"] if row["user_id"] == user]
    moments = set()
    for time in times:
        leaves = (floor(time, TILE) + TILE, floor(time, TILE) + HOUR, floor(time, HOUR) + DAY)
        moments |= {time + MICROSECOND, *leaves}
        if not any(time < other < time + GAP for other in times):
            moments.add(time + GAP)
    return {moment for moment in moments if moment + settings.streaming_delay <= AS_OF}


DEFINITIONS: dict[str, tuple[Callable[[Events, str, datetime], Values], list[str]]] = {
    "user_stats": (user_stats, ["transactions"]),
    "merchant_stats": (merchant_stats, ["transactions"]),
    "product_stats": (product_stats, ["transactions", "product_views"]),
    "user_preferences": (user_preferences, ["transactions"]),
    "user_streaming": (user_streaming, ["transactions"]),
}


def recompute(events: Events, table: str) -> dict[tuple[str, datetime], Values]:
    """Return all rows of the definition, without any delay of arrival."""
    values_of, sources = DEFINITIONS[table]
    entity = FEATURE_TABLES[table].names[0]
    firsts: dict[str, datetime] = defaultdict(lambda: AS_OF)
    for source in sources:
        for row in events.get(source, []):
            firsts[row[entity]] = min(firsts[row[entity]], row["event_timestamp"])
    rows = {}
    for name, first in firsts.items():
        if table == "user_streaming":
            for moment in streaming_changes(events, name):
                rows[name, moment] = values_of(events, name, moment)
            continue
        last: Values | None = None
        for moment in hours(first, AS_OF):
            values = values_of(events, name, moment)
            if values != last or moment.hour == 0:
                rows[name, moment] = values
            last = values
    return rows


def write_raw(folder: Path, events: Events) -> None:
    for table, rows in events.items():
        order = [name for name in ("event_timestamp", "transaction_id") if name in rows[0]]
        rows.sort(key=lambda row: [row[name] for name in order])
        pq.write_table(
            pa.Table.from_pylist(rows, schema=RAW_TABLES[table]), folder / f"{table}.parquet"
        )


def published(folder: Path, table: str) -> list[Row]:
    read = pq.read_table(folder / f"{table}.parquet")
    assert read.schema.equals(FEATURE_TABLES[table])
    rows: list[Row] = read.to_pylist()
    return rows


def arrival(entity: str, moment: datetime) -> timedelta:
    """Return the delay of a snapshot row, by a hash that is the same in every version of DuckDB."""
    hour = int(moment.timestamp()) // 3600
    number = int(md5(f"{entity} {hour}".encode()).hexdigest()[:8], 16)
    is_late = number < round(2**32 / 50)
    return settings.late_arrival_delay if is_late else settings.arrival_delay


edges = st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1)])
moments = st.one_of(
    st.builds(lambda day, hour: START + timedelta(days=day, hours=hour),
              st.sampled_from([0, 1, 7, 30, 31]), st.sampled_from([0, 1, 7, 23])),
    st.builds(lambda tile: START + timedelta(days=2) + tile * TILE, st.integers(0, 26)),
    st.builds(lambda second: START + timedelta(seconds=second), st.integers(0, 34 * 86400)),
)  # fmt: skip
times = st.builds(lambda moment, edge: max(moment + edge, START), moments, edges)
transactions = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["user_0", "user_1", "user_10"]),
        "merchant_id": st.sampled_from(["merchant_0", "merchant_1"]),
        "product_id": st.sampled_from(["product_0", "product_1"]),
        "event_timestamp": times,
        "amount": st.integers(0, 100_000).map(lambda cents: cents / 100),
        "is_approved": st.booleans(),
        "label": st.sampled_from([0, 1, None]),
        "label_timestamp": st.none(),
        "charged_back": st.booleans(),
        "refunds": st.integers(0, 2),
        "later": st.integers(0, 6 * 86400),
    }
)
views = st.fixed_dictionaries(
    {
        "user_id": st.just("user_0"),
        "product_id": st.sampled_from(["product_0", "product_1", "product_2"]),
        "event_timestamp": times,
    }
)


@st.composite
def raw_events(draw: st.DrawFn) -> Events:
    bought = draw(st.lists(transactions, min_size=1, max_size=12))
    for number, row in enumerate(bought):
        row["transaction_id"] = f"txn_{number:02}"
    known = {
        "chargebacks": [row for row in bought if row["charged_back"]],
        "refunds": [
            row | {"later": row["later"] * (1 + time)}
            for row in bought
            for time in range(row["refunds"])
        ],
    }
    events: Events = {"transactions": bought, "product_views": draw(st.lists(views, max_size=8))}
    for table, rows in known.items():
        events[table] = [
            row | {"event_timestamp": row["event_timestamp"] + timedelta(seconds=row["later"])}
            for row in rows
        ]
    return {table: rows for table, rows in events.items() if rows}


@pytest.mark.slow
@hypothesis_settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a failure takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(events=raw_events())
def test_every_value_and_every_row_equals_the_recomputed_one(events: Events) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_raw(folder, events)
        counted = build_feature_tables(folder, AS_OF)
        for table in FEATURE_TABLES:
            rows = published(folder, table)
            assert counted[table] == len(rows)
            expected = recompute(events, table)
            entity, _, _, *names = FEATURE_TABLES[table].names
            found = {
                (row[entity], row["event_timestamp"]): tuple(row[name] for name in names)
                for row in rows
            }
            assert len(found) == len(rows)
            assert found.items() <= expected.items()
            # Rows that are not there yet arrive late, and only then.
            for _, moment in expected.keys() - found.keys():
                assert moment > AS_OF - settings.late_arrival_delay
            for row in rows:
                delay = row["created_timestamp"] - row["event_timestamp"]
                assert row["created_timestamp"] <= AS_OF
                assert delay == (
                    settings.streaming_delay
                    if table == "user_streaming"
                    else arrival(row[entity], row["event_timestamp"])
                )


@pytest.mark.parametrize(("pause", "counts"), [(GAP, {0, 1, 2}), (GAP + MICROSECOND, {0, 1})])
def test_a_session_goes_on_after_the_gap_and_not_a_microsecond_later(
    pause: timedelta, counts: set[int], tmp_path: Path
) -> None:
    payment = {"transaction_id": "one", "user_id": "user_0", "amount": 1.0, "is_approved": True}
    events = [payment | {"event_timestamp": START + late} for late in (timedelta(0), pause)]
    write_raw(tmp_path, {"transactions": events})
    build_feature_tables(tmp_path, AS_OF)
    rows = published(tmp_path, "user_streaming")
    assert {row["transaction_count_session"] for row in rows} == counts
