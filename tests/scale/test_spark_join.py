"""The join on a Spark cluster of processes equals the embedded one, bit for bit."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureStore, RepoConfig
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp
from pyspark.sql import SparkSession

from lab.learn import store_config
from lab.settings import settings
from scale.spark_cluster import SparkProcess
from tests.feast_plugins.asof_repo import (
    HOUR,
    MERCHANT,
    OURS,
    USER,
    at,
    feature_view,
    open_store,
    source,
    write_rows,
)
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Size
from tests.waiting import eventually

pytestmark = pytest.mark.scale

SPARK = "scale.spark_offline_store.SparkAsofOfflineStore"
PARTITIONS = 2
FEATURES = {
    "value": Int64, "small": Int32, "ratio": Float32, "amount": Float64, "word": String,
    "flag": Bool, "raw": Bytes, "moment": UnixTimestamp, "several": Array(Float32),
}  # fmt: skip
FLOATS = [0.1, -0.0, float("nan"), float("inf"), 5e-324, None]

Cluster = tuple[str, list[SparkProcess]]


def adversarial_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Feature rows with ties, late arrivals, nulls and awkward values, in no order."""
    draw = random.Random(seed)
    return [
        {
            "user_id": draw.choice([*"abcdefgh", "", None]),
            "merchant_id": draw.choice("xyz"),
            "event_timestamp": at(draw.randrange(24)),
            "created": draw.choice([None, at(draw.randrange(30))]),
            "value": number,
            "small": draw.choice([-(2**31), 7, None]),
            "ratio": draw.choice(FLOATS),
            "amount": draw.choice(FLOATS),
            "word": draw.choice(["", "ß🦆", "null", None]),
            "flag": draw.choice([True, None]),
            "raw": draw.choice([b"\x00\xff", None]),
            "moment": draw.choice([at(-9e6), None]),
            "several": draw.choice([[0.1, None], [], None]),
        }
        for number in range(count)
    ]


def entity_rows(count: int, seed: int) -> pd.DataFrame:
    draw = random.Random(seed)
    users = [*"abcdefghij", "", None]
    rows = [(draw.choice(users), draw.choice(users), draw.choice("xyzw")) for _ in range(count)]
    times = pd.to_datetime([draw.choice([at(n / 2) for n in range(70)]) for _ in range(count)])
    frame = pd.DataFrame(rows, columns=["user_id", "payer", "merchant_id"])
    return frame.assign(event_timestamp=times, row=range(count))


def repositories(folder: Path, spark: Cluster) -> list[FeatureStore]:
    """Open the embedded store and Spark's on the same views, over two files of rows."""
    for part in range(2):
        rows = adversarial_rows(400, seed=part)
        types = {"raw": pa.binary(), "ratio": pa.float32(), "several": pa.list_(pa.float32())}
        write_rows(folder / "rows" / f"{part}.parquet", rows, **types)
    of = {
        created: source(folder / "rows", created, name=f"rows {created}")
        for created in ("created", "")
    }
    views = [
        feature_view("dated", of["created"], USER, MERCHANT, ttl=3 * HOUR, features=FEATURES),
        feature_view("endless", of[""], USER, MERCHANT, ttl=0 * HOUR, features=FEATURES),
    ]
    paid = views[0].with_name("paid").with_join_key_map({"user_id": "payer"})
    service = FeatureService(name="s", features=[*views[1:], views[0].with_name("own"), paid])
    on_spark: dict[str, Any] = {"master": spark[0], "partitions": PARTITIONS}
    return [
        open_store(folder, *views, service, offline=store, rows_per_chunk=200, **options)
        for store, options in ((OURS, dict[str, Any]()), (SPARK, on_spark))
    ]


@pytest.mark.parametrize("known_only", [False, True])
def test_adversarial_rows(spark: Cluster, tmp_path: Path, *, known_only: bool) -> None:
    embedded, scaled = (
        store.get_historical_features(
            entity_rows(400, seed=3),
            store.get_feature_service("s"),
            full_feature_names=True,
            filter_by_created_timestamp=known_only,
        ).to_arrow()
        for store in repositories(tmp_path, spark)
    )
    assert scaled.schema == embedded.schema
    assert bits(scaled) == bits(embedded)
    assert embedded["own__value"].null_count < 350


def bits(table: pa.Table) -> str:
    """Return the values as text: NaN equals itself, 0.0 differs from -0.0, no digit is left out."""
    return repr(table.to_pydict())


@pytest.fixture(scope="module")
def payments(new_shop: NewShop) -> Iterator[pd.DataFrame]:
    """Yield the entity rows of exercise 2, on simulated data; the shop is in force."""
    shop = new_shop(Size(2_000))
    with settings_in_force(**shop.settings):
        from exercise_02_pit_training.generate_training_data import create_entity_df

        yield create_entity_df()


def trained_on(offline: dict[str, Any], payments: pd.DataFrame) -> pa.Table:
    config = store_config() | {"offline_store": offline}
    store = FeatureStore(config=RepoConfig(repo_path=settings.feature_repo, **config))
    service = store.get_feature_service("fraud_detection")
    return store.get_historical_features(payments, service, full_feature_names=True).to_arrow()


def test_simulated_data_while_a_worker_is_killed(spark: Cluster, payments: pd.DataFrame) -> None:
    """A worker with its executor is killed once it has done a part of the work."""
    embedded = trained_on({"type": OURS}, payments)
    offline = {"type": SPARK, "rows_per_chunk": 200, "master": spark[0]}
    offline["partitions"] = PARTITIONS
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(trained_on, offline, payments)
        eventually(lambda: tasks_done() > PARTITIONS)
        spark[1][0].kill()
        scaled = running.result()
    assert len(embedded) > 200
    assert scaled.schema == embedded.schema
    assert bits(scaled) == bits(embedded)


def tasks_done() -> int:
    """Return the finished tasks of the jobs that run now."""
    found = SparkSession.getActiveSession()
    if found is None:
        return 0
    tracker = found.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return sum(stage.numCompletedTasks for stage in stages if stage)
