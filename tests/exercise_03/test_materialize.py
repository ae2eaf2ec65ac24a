"""Exercise 3 on real Feast and Redis: written rows, untouched rows, and detected faults."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pandas as pd
import pendulum
import pyarrow as pa
import pytest
import redis

from exercise_03_materialize.materialize import (
    incremental_materialization,
    initial_materialization,
    last_end,
    monitor_materialization,
    validate_materialization,
)
from feast_plugins.columnar_rows import SourceRows
from feast_plugins.redis_encoding import (
    decode_time,
    decode_value,
    entity_key,
    feature_field,
    time_field,
)
from lab import dataset
from lab.dataset.advance import advance
from lab.errors import UserError
from lab.learn import open_store
from lab.settings import settings
from tests.exercise_03.shop_tables import (
    ON_BOTH_STORES,
    TABLES,
    Dump,
    change,
    keys_of,
    read_table,
    write_table,
)
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF, PROJECT

VIEW = "user_transaction_features"
USER = "user_0"
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
DAY_S = 86_400
pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def count_7d(client: redis.Redis) -> Callable[[], object]:
    """Return the user's transaction_count_7d in Redis."""
    field = feature_field(VIEW, "transaction_count_7d")
    return lambda: decode_value(client.hget(entity_key(PROJECT, "user_id", USER), field))


def newest_known(view: str) -> pd.DataFrame:
    """Return each entity's newest row of those that arrived by the as-of, by pandas."""
    table = read_table(view)
    known = table[table["created_timestamp"] <= dataset.as_of()]
    ordered = known.sort_values(["event_timestamp", "created_timestamp"])
    return ordered.drop_duplicates(ordered.columns[0], keep="last")


def newest_time(view: str, end: datetime) -> datetime:
    """Return the newest time until `end` by which the stores select rows."""
    times = read_table(view)[
        "created_timestamp" if settings.stores == "plugins" else "event_timestamp"
    ]
    newest: datetime = times[times <= end].max()
    return newest


def expected_times(view: str) -> dict[bytes, pd.Timestamp]:
    rows = newest_known(view)
    times = zip(rows.iloc[:, 0], rows["event_timestamp"], strict=True)
    return {key: at for entity, at in times for key in keys_of(view, [entity])}


# ---- Initial -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_of", [AS_OF, AS_OF - 20 * MINUTE], ids=["the end", "before the end"])
def test_the_newest_row_that_arrived_is_there(
    as_of: object, dump: Callable[[], Dump], point_settings: PointSettings
) -> None:
    """Twenty minutes before the end, some rows have happened and not arrived."""
    point_settings(as_of=as_of)
    initial_materialization(days_back=7)
    hashes = dump()
    for view in TABLES:
        field = time_field(view)
        found = {
            key: decode_time(fields[field]) for key, fields in hashes.items() if field in fields
        }
        assert found == expected_times(view)
    assert validate_materialization()


# ---- Incremental ---------------------------------------------------------------------------------


def test_only_entities_with_new_rows_are_written(
    client: redis.Redis, dump: Callable[[], Dump]
) -> None:
    initial_materialization()
    everyone = set(dump())
    advance(settings.data_dir, HOUR)
    busy = set()
    for view in TABLES:
        table = read_table(view)
        new = table[table["created_timestamp"] > AS_OF]
        busy |= keys_of(view, new.iloc[:, 0].unique())
    assert 0 < len(busy) <= 0.1 * len(everyone)

    client.delete(*everyone - busy)
    incremental_materialization()
    after = dump()
    client.flushall()
    initial_materialization()
    assert after == {key: fields for key, fields in dump().items() if key in busy}


def test_a_row_on_the_boundary_is_written_once(
    dump: Callable[[], Dump], client: redis.Redis
) -> None:
    initial_materialization()
    change(VIEW, USER, at=AS_OF + MINUTE, created=AS_OF + 10 * MINUTE)
    incremental_materialization(AS_OF + 10 * MINUTE)
    (key,) = keys_of(VIEW, [USER])
    assert decode_time(dump()[key][time_field(VIEW)]) == AS_OF + MINUTE
    client.delete(key)
    incremental_materialization(AS_OF + 20 * MINUTE)
    assert key not in dump()


@ON_BOTH_STORES
def test_a_row_that_arrives_after_the_last_run_is_written(count_7d: Callable[[], object]) -> None:
    """Its event time is before the last run; Feast's own selection never sees it."""
    initial_materialization()
    change(VIEW, USER, AS_OF - MINUTE, created=AS_OF + 30 * MINUTE, transaction_count_7d=991)
    incremental_materialization(AS_OF + 40 * MINUTE)
    assert count_7d() == 991
    assert validate_materialization()


@ON_BOTH_STORES
def test_a_corrected_value_arrives_with_the_plug_in(
    count_7d: Callable[[], object], stores: str
) -> None:
    """The same event time, created again: Feast's Redis store skips it."""
    initial_materialization()
    before = count_7d()
    newest = newest_known(VIEW).set_index("user_id").loc[USER, "event_timestamp"]
    change(VIEW, USER, newest, created=AS_OF + MINUTE, transaction_count_7d=991)
    incremental_materialization(AS_OF + HOUR)
    assert count_7d() == (991 if stores == "plugins" else before)


@pytest.mark.parametrize(("outer", "inner"), [(10, 60), (60, 10)], ids=["older", "newer"])
def test_an_overlapping_run_brings_no_older_value_back(
    outer: int, inner: int, count_7d: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older run reads a value before the newer one writes its correction, and writes after."""
    initial_materialization()
    newest = newest_known(VIEW).set_index("user_id").loc[USER, "event_timestamp"]
    for minutes, count in ((1, 5), (30, 991)):
        created = AS_OF + minutes * MINUTE
        change(VIEW, USER, newest, created=created, transaction_count_7d=count)
    read, nested = SourceRows.newest, list[int]()

    def overlapped(rows: SourceRows) -> Iterator[pa.RecordBatch]:
        batches = list(read(rows))
        yield from batches if outer > inner else []
        if rows.task.feature_view.name == VIEW and not nested:
            nested.append(inner)
            incremental_materialization(AS_OF + inner * MINUTE)
        yield from batches if outer < inner else []

    monkeypatch.setattr(SourceRows, "newest", overlapped)
    incremental_materialization(AS_OF + outer * MINUTE)
    assert (nested, count_7d()) == ([inner], 991)


@ON_BOTH_STORES
def test_a_run_at_an_earlier_moment_takes_nothing_back(client: redis.Redis) -> None:
    initial_materialization()
    advance(settings.data_dir, HOUR)
    incremental_materialization(AS_OF + HOUR)
    incremental_materialization(AS_OF)
    seen = client.hgetall(f"materialized_until:{PROJECT}")
    assert {view.decode(): datetime.fromisoformat(end.decode()) for view, end in seen.items()} == {
        view: newest_time(view, AS_OF + HOUR) for view in TABLES
    }
    assert validate_materialization()


@ON_BOTH_STORES
def test_a_run_ahead_of_its_data_loses_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline publishes an hour after the run of that hour."""
    initial_materialization()
    incremental_materialization(AS_OF + 6 * HOUR)
    assert capsys.readouterr().out.count("no row is newer than") == len(TABLES)
    advance(settings.data_dir, HOUR)
    incremental_materialization(AS_OF + 7 * HOUR)
    assert "no row is newer" not in capsys.readouterr().out
    assert validate_materialization()
    assert last_end(open_store(), VIEW) == newest_time(VIEW, AS_OF + 7 * HOUR)


@ON_BOTH_STORES
def test_a_run_before_the_first_row_loses_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    """The clock of a run that read nothing is no progress: the rows arrive later."""
    table = read_table(VIEW)
    write_table(VIEW, table.head(0))
    incremental_materialization()
    assert f"{VIEW}: no row is newer" in capsys.readouterr().out
    write_table(VIEW, table)
    incremental_materialization()
    assert validate_materialization()


@ON_BOTH_STORES
def test_a_view_whose_rows_have_all_expired_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    incremental_materialization()
    table = read_table(VIEW)
    write_table(VIEW, table.assign(event_timestamp=table["event_timestamp"] - 400 * DAY))
    assert validate_materialization()
    assert f"{VIEW}: every row has expired" in capsys.readouterr().out


@ON_BOTH_STORES
def test_a_moment_of_airflow_is_as_good_as_any() -> None:
    """Airflow passes Pendulum's: after `astimezone`, minus a timedelta, it has no zone.

    The first run needs no initial one; Feast's own begins at the wall clock, and writes nothing.
    """
    incremental_materialization(pendulum.instance(AS_OF, tz="Europe/Berlin"))
    assert validate_materialization()


# ---- Validation ----------------------------------------------------------------------------------


KEY, TOTAL = entity_key(PROJECT, "user_id", USER), feature_field(VIEW, "total_amount_30d")
AVERAGE = feature_field(VIEW, "avg_transaction_amount")
SPOILED: dict[str, Callable[[redis.Redis], object]] = {
    "a wrong value": lambda client: client.hset(KEY, TOTAL, client.hget(KEY, AVERAGE)),
    "a field that is gone": lambda client: client.hdel(KEY, TOTAL),
    "an entity that is gone": lambda client: client.delete(KEY),
}


@ON_BOTH_STORES
def test_what_differs_is_found_and_named(
    client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    initial_materialization()
    assert validate_materialization()
    right = client.hgetall(KEY)
    for fault, spoil in SPOILED.items():
        spoil(client)
        capsys.readouterr()
        assert not validate_materialization(), fault
        assert f"{USER} differs" in capsys.readouterr().out
        client.hset(KEY, mapping=right)


@pytest.mark.parametrize("days_back", [0, -1, 10**6, float("nan")])
def test_a_period_without_days_is_refused(days_back: int) -> None:
    """It would write nothing, and the next run would start at its end."""
    with pytest.raises(UserError, match="days_back is"):
        initial_materialization(days_back)


@ON_BOTH_STORES
def test_nothing_to_validate_is_an_error() -> None:
    with pytest.raises(UserError, match="never materialized"):
        validate_materialization()


# ---- Monitoring ----------------------------------------------------------------------------------


def test_the_report_counts_what_is_there(dump: Callable[[], Dump]) -> None:
    initial_materialization()
    report, hashes = monitor_materialization(), dump()
    for view in TABLES:
        holders = [stored for stored in hashes.values() if time_field(view) in stored]
        times = [decode_time(stored[time_field(view)]) for stored in holders]
        ages = [AS_OF - time for time in times if time is not None]
        assert report.loc[view, "keys"] == len(ages) == len(holders)
        assert report.loc[view, "newest"] == min(ages)
        assert report.loc[view, "oldest"] == max(ages)
        assert 99 * DAY_S < report.loc[view, "ttl_s"] <= 100 * DAY_S


# ---- A full Redis --------------------------------------------------------------------------------


def test_a_full_redis_fails_the_script(full_redis: redis.Redis) -> None:
    """Nothing counts as written: once there is room again, the next run writes it."""
    script = [sys.executable, "-m", "exercise_03_materialize.materialize"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "memory limit" in done.stderr
    assert "Traceback" not in done.stderr
    assert not full_redis.exists(f"materialized_until:{PROJECT}")
    full_redis.config_set("maxmemory", 0)
    incremental_materialization()
    assert validate_materialization()
