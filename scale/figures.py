"""Measure the join by one process and by Spark, and write the table of docs/scaling.md.

python -m scale.figures 1 10    # millions of entity rows
"""

import json
import multiprocessing
import re
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Float64, Int64

from lab.settings import ROOT
from scale.spark_cluster import spark_cluster

RESULT, PAGE = ROOT / "scale" / "figures.json", ROOT / "docs" / "scaling.md"
TABLE = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end -->)", re.DOTALL)
HEAD = ["", "| million rows | store | seconds | MiB of its process |", "|---|---|---|---|"]
USERS, FIRST = 100_000, datetime(2026, 1, 1, tzinfo=UTC)
STORES = {
    "embedded": "feast_plugins.asof_offline_store.AsofOfflineStore",
    "Spark": "scale.spark_offline_store.SparkAsofOfflineStore",
}


def write_tables(folder: Path, millions: int) -> None:
    """Write entity rows, and half as many feature rows, at random seconds of sixty days."""
    for name, rows in {"asked": millions * 1_000_000, "rows": millions * 500_000}.items():
        number, seconds = pl.col("count"), pl.col("count").hash(2) % 5_184_000
        frame = pl.DataFrame({"count": pl.int_range(rows, eager=True)}).select(
            (number.hash(1) % USERS).cast(pl.Int64).alias("user_id"),
            (pl.lit(FIRST) + pl.duration(seconds=seconds)).alias("event_timestamp"),
            *([] if name == "asked" else [number, (number / 7).alias("amount")]),
        )
        frame.write_parquet(folder / f"{name}.parquet")


def join(folder: Path, store: str, **options: str) -> dict[str, float]:
    """Join from file to file; return the seconds and this process's peak memory."""
    user = Entity(name="user_id", value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_timestamp")
    fields = [Field(name="count", dtype=Int64), Field(name="amount", dtype=Float64)]
    view = FeatureView(
        name="v", entities=[user], schema=fields, source=source, ttl=timedelta(days=10)
    )
    feast = FeatureStore(
        config=RepoConfig(
            project="p",
            provider="local",
            registry=str(folder / f"{store}.db"),
            offline_store={"type": STORES[store], **options},
            entity_key_serialization_version=3,
        )
    )
    feast.apply([user, view])
    asked, began = f"SELECT * FROM read_parquet('{folder}/asked.parquet')", time.monotonic()
    job = feast.get_historical_features(asked, ["v:count", "v:amount"])
    job.persist(SavedDatasetFileStorage(str(folder / f"{store}.parquet")))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(time.monotonic() - began, 1), "MiB": round(memory)}


def measure(folder: Path, millions: int) -> list[list[object]]:
    """Return a row of the table for each store; both give the same rows."""
    write_tables(folder, millions)
    table: list[list[object]] = []
    with spark_cluster(folder / "spark") as (master, _):
        for store, options in {"embedded": dict[str, str](), "Spark": {"master": master}}.items():
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                found = process.submit(join, folder, store, **options).result()
            table.append([millions, store, *found.values()])
    embedded, scaled = (pl.scan_parquet(folder / f"{store}.parquet") for store in STORES)
    if not embedded.collect().equals(scaled.collect()):
        raise AssertionError(f"the stores differ at {millions} million rows")
    return table


def main() -> None:
    """Measure each size, and write the result and the table."""
    table = []
    for millions in map(int, sys.argv[1:] or ["1", "10"]):
        with TemporaryDirectory() as folder:
            table += measure(Path(folder), millions)
    RESULT.write_text(json.dumps(table, indent=1) + "\n")
    lines = [f"| {' | '.join(map(str, row))} |" for row in table]
    PAGE.write_text(TABLE.sub("\n".join([*HEAD, *lines, "", ""]), PAGE.read_text()))


if __name__ == "__main__":
    main()
