"""Backfill: in any order, repeatedly, through a kill; newer values are never lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import redis
from feast import FeatureStore, FeatureView, Field
from feast.types import Float32

from exercise_03_materialize.materialize import (
    CHUNK,
    backfill_features,
    initial_materialization,
    validate_materialization,
)
from exercise_03_materialize.production.journal import BackfillJournal, resumable_backfill
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import UserError
from lab.feature_store import open_store
from tests.exercise_03.shop_tables import ON_BOTH_STORES, Dump, read_table, write_table
from tests.shop import AS_OF, PROJECT

VIEW = "user_transaction_features"
USER = "user_0"
KEY = entity_key(PROJECT, "user_id", USER)
START = AS_OF - timedelta(days=100)
CHUNKS = -(-(AS_OF - START) // CHUNK)
SCRIPT = f"""
from datetime import datetime
from exercise_03_materialize.production.journal import resumable_backfill
resumable_backfill(datetime.fromisoformat("{START}"), datetime.fromisoformat("{AS_OF}"))
"""
pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def materialized(client: redis.Redis, dump: Callable[[], Dump]) -> Dump:
    """Return the content of Redis after an initial run."""
    initial_materialization(days_back=100)
    return dump()


def printed_chunks(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.strip().startswith("backfill")]


@ON_BOTH_STORES
def test_the_order_does_not_matter(
    materialized: Dump, dump: Callable[[], Dump], client: redis.Redis
) -> None:
    """Ten days at a time, shuffled, into an empty Redis; their bounds are rows' event times."""
    client.flushall()
    midnight = AS_OF.replace(hour=0, minute=0)
    days = [midnight - timedelta(days=number) for number in range(0, 101, 10)]
    ranges = [*zip(days[1:], days, strict=False), (midnight, AS_OF)]
    for start, end in Random(3).sample(ranges, len(ranges)):
        backfill_features(start, end)
    assert dump() == materialized


def test_an_added_feature_arrives(materialized: Dump, dump: Callable[[], Dump]) -> None:
    """Its field is there for every user; everything else is as before."""
    table = read_table(VIEW)
    doubled = (table["avg_transaction_amount"] * 2).astype(np.float32)
    write_table(VIEW, table.assign(doubled_average=doubled))
    store = open_store()
    store.apply(with_feature(store.get_feature_view(VIEW), "doubled_average"))
    backfill_features(AS_OF - timedelta(days=2), AS_OF)

    field, after = feature_field(VIEW, "doubled_average"), dump()
    newest = doubled[table["user_id"] == USER].iloc[-1]
    assert decode_value(after[KEY][field]) == newest
    with_it = [key for key in after if after[key].pop(field, None) is not None]
    assert len(with_it) == table["user_id"].nunique()
    assert after == materialized
    assert validate_materialization()


def with_feature(view: FeatureView, name: str) -> FeatureView:
    return FeatureView(
        name=view.name,
        entities=[open_store().get_entity("user_id")],
        ttl=view.ttl,
        schema=[*view.schema, Field(name=name, dtype=Float32)],
        source=view.batch_source,
    )


def test_a_killed_backfill_goes_on(
    dump: Callable[[], Dump],
    client: redis.Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed in its fourth week; meanwhile, and after that, readers are answered."""
    scatter_over_the_weeks()
    backfill_features(START, AS_OF)
    uninterrupted = dump()
    client.delete(*set(uninterrupted) - {KEY})
    reader = open_store()
    right = count_7d(reader)
    assert right is not None

    begun: list[str] = []
    with start_backfill() as backfill:
        while len(begun) < 4:
            assert backfill.stdout is not None
            line = backfill.stdout.readline()
            assert line, "it ended before its fourth week"
            begun += printed_chunks(line)
            assert count_7d(reader) == right
        backfill.kill()
    assert backfill.returncode == -signal.SIGKILL
    assert count_7d(reader) == count_7d(open_store()) == right
    assert dump() != uninterrupted

    capsys.readouterr()
    resumable_backfill(START, AS_OF)
    resumed = printed_chunks(capsys.readouterr().out)
    assert not set(resumed) & set(begun[:3])
    assert len(resumed) in (CHUNKS - 4, CHUNKS - 3)
    assert dump() == uninterrupted
    assert not list(client.scan_iter(match="backfill:*"))


def scatter_over_the_weeks() -> None:
    """One row per user, each from another day, so that every week of the range matters."""
    rows = read_table(VIEW)
    rows = rows[(rows["event_timestamp"] >= START) & (rows["user_id"] != USER)]
    readers = read_table(VIEW).query("user_id == @USER").tail(1)
    one_each = rows.groupby("user_id").sample(1, random_state=1)
    write_table(VIEW, pd.concat([one_each, readers], ignore_index=True))


def count_7d(store: FeatureStore) -> object:
    feature = "transaction_count_7d"
    answer = store.get_online_features([f"{VIEW}:{feature}"], [{"user_id": USER}])
    return answer.to_dict()[feature][0]


def start_backfill() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_a_feature_added_after_the_kill_is_in_the_finished_weeks_too(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its column was there already: only the definitions changed."""
    table = read_table(VIEW)
    write_table(VIEW, table.assign(doubled_average=table["avg_transaction_amount"] * 2))
    store = open_store()
    written: list[datetime] = []

    class Killed(Exception):
        """Stands in for the kill, after the second week."""

    def add_twice(journal: BackfillJournal, start: datetime) -> None:
        add(journal, start)
        written.append(start)
        if len(written) == 2:
            raise Killed

    add = BackfillJournal.add
    with monkeypatch.context() as patch:
        patch.setattr(BackfillJournal, "add", add_twice)
        with pytest.raises(Killed):
            resumable_backfill(AS_OF - 2 * CHUNK, AS_OF)
    store.apply(with_feature(store.get_feature_view(VIEW), "doubled_average"))
    resumable_backfill(AS_OF - 2 * CHUNK, AS_OF)
    assert client.hexists(KEY, feature_field(VIEW, "doubled_average"))


@ON_BOTH_STORES
def test_an_empty_range_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        backfill_features(AS_OF, AS_OF)


@pytest.mark.parametrize(
    "moment",
    ["yesterdayish", 1_767_225_600, float("nan"), pd.NaT, datetime.min, datetime.max, "1969-01-01"],
)
def test_what_is_no_time_is_one_sentence(moment: Any) -> None:
    with pytest.raises(UserError, match=r"is no time from .*\n  next: pass a datetime"):
        backfill_features(moment, AS_OF)


@ON_BOTH_STORES
def test_dates_without_a_zone_are_utc(materialized: Dump, client: redis.Redis) -> None:
    client.delete(KEY)
    start, end = (AS_OF - timedelta(days=1)).replace(tzinfo=None), AS_OF.replace(tzinfo=None)
    backfill_features(start, end)
    assert client.hgetall(KEY) == materialized[KEY]
    client.delete(KEY)
    backfill_features(start.isoformat(), AS_OF.isoformat())  # type: ignore[arg-type]
    assert client.hgetall(KEY) == materialized[KEY]
