"""The as-of join of feast_plugins on partitions of the keys: Spark moves rows, polars joins them.

Spark hands Arrow tables to the same functions that the embedded store calls, so it decides nothing
about ties, TTLs, nulls or types. Its workers import this module; they need polars and no Feast.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from feast_plugins.asof_join import CREATED, TIME, in_order, join, timeline

PART, POSITION, BLOCK = "scale_part", "scale_position", "scale_block"
BLOCK_BITS = 40  # a position is the number of a file, then the number of a row in it
ROWS_PER_TASK = 250_000
LONG = pa.int64()


@dataclass(frozen=True)
class Rows:
    """Rows of Parquet files: a lazy frame for each file, with the keys and the `types` of all."""

    files: Sequence[pl.LazyFrame]
    keys: tuple[str, ...]
    types: pa.Schema


@dataclass(frozen=True)
class AsofJoin:
    """One view's join: entity rows, feature rows, and the rule by which one counts."""

    asked: Rows
    rows: Rows
    ttl: timedelta | None
    known_only: bool

    @property
    def features(self) -> pa.Schema:
        """Return the names and types of the features."""
        others = {*self.rows.keys, TIME, CREATED}
        return pa.schema([field for field in self.rows.types if field.name not in others])


def run(spark: SparkSession, view: AsofJoin, partitions: int, folder: Path) -> None:
    """Write the features of each entity row, in a folder for each file of the entity rows."""
    asked, rows = (_by_part(spark, side, partitions) for side in (view.asked, view.rows))
    result = [(BLOCK, pa.int32()), (POSITION, LONG), *_numbered(view.features)]
    joined = asked.cogroup(rows).applyInArrow(_kernel(view), from_arrow_schema(pa.schema(result)))
    blocks = joined.repartition(BLOCK).sortWithinPartitions(BLOCK, POSITION)
    blocks.write.partitionBy(BLOCK).parquet(str(folder))


def block(folder: Path, number: int, features: pa.Schema) -> pa.Table:
    """Return the features of a file of entity rows, in the order of its rows."""
    columns = [f"c{place}" for place in range(len(features))]
    for file in (folder / f"{BLOCK}={number}").glob("*.parquet"):  # at most one
        found = pq.read_table(file, columns=columns, partitioning=None)
        return found.rename_columns(features.names).cast(features)
    return features.empty_table()


def _by_part(spark: SparkSession, side: Rows, partitions: int) -> "DataFrame":
    """Read the files in many tasks, and group the rows by a hash of their keys."""
    tasks = [
        (number, start, file.serialize())
        for number, file in enumerate(side.files)
        for start in range(0, file.select(pl.len()).collect().item(), ROWS_PER_TASK)
    ]
    plans = spark.sparkContext.parallelize(tasks, max(len(tasks), 1))
    frame = spark.createDataFrame(plans, "number int, start long, plan binary")
    schema = pa.schema([(PART, pa.int32()), (POSITION, LONG), *_numbered(side.types)])
    read = _reader(side.keys, side.types, schema, partitions)
    return frame.mapInArrow(read, from_arrow_schema(schema)).groupBy(F.col(PART))


def _reader(
    keys: Sequence[str], types: pa.Schema, schema: pa.Schema, partitions: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function of a task that reads rows; equal keys have equal parts."""
    names = [PART, POSITION, *types.names]
    part = sum((pl.col(key).hash(seed) % 2**31 for seed, key in enumerate(keys)), pl.lit(0))

    def rows(number: int, start: int, plan: bytes) -> pa.Table:
        frame = pl.LazyFrame.deserialize(BytesIO(plan)).slice(start, ROWS_PER_TASK)
        found = frame.collect().with_row_index(POSITION)
        place = pl.col(POSITION).cast(pl.Int64) + ((number << BLOCK_BITS) + start)
        labelled = found.with_columns(place, (part % partitions).cast(pl.Int32).alias(PART))
        return _to_arrow(labelled.select(names), schema)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.to_pylist():
                yield from rows(**task).to_batches()

    return read


def _kernel(view: AsofJoin) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """Return the function of a task that joins a part."""
    schema = pa.schema([(BLOCK, pa.int32()), (POSITION, LONG), *_numbered(view.features)])
    asked_names, row_names = view.asked.types.names, view.rows.types.names
    keys, ttl, known_only = view.rows.keys, view.ttl, view.known_only

    def joined(asked: pa.Table, rows: pa.Table) -> pa.Table:
        entities = _from_arrow(asked, asked_names)
        features = _from_arrow(rows, row_names).drop(POSITION)
        known = timeline(features, keys, ttl, known_only=known_only)
        found = join(entities, in_order(entities), known)
        number = (pl.col(POSITION) // 2**BLOCK_BITS).cast(pl.Int32)
        place = entities.select(number.alias(BLOCK), POSITION)
        return _to_arrow(place.hstack(found), schema)

    return joined


def _from_arrow(table: pa.Table, names: Sequence[str]) -> pl.DataFrame:
    """Return a part's rows in the order of their files: a shuffle keeps no order."""
    frame = pl.DataFrame(table.rename_columns([PART, POSITION, *names])).sort(POSITION)
    times = [name for name in (TIME, CREATED) if name in names]
    return frame.drop(PART).with_columns(pl.col(times).cast(pl.Datetime("us")))


def _to_arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.rename_columns(schema.names).cast(schema)


def _numbered(types: pa.Schema) -> list[tuple[str, pa.DataType]]:
    """Return names without characters that Spark would parse, and the types."""
    return [(f"c{place}", field.type) for place, field in enumerate(types)]
