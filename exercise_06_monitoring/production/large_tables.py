"""Measure drift on a sample of entities, for tables that do not fit into memory.

An entity is in the sample by its hash, so it is there in both windows and in every run. DuckDB
writes the sample without holding the table. PSI of 20,000 entities is exact to about 0.001.
"""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas as pd

from exercise_06_monitoring.windows import drift_windows, table_of

ENTITIES = 20_000
MEMORY_LIMIT = "1GiB"


def write_sample(source: Path, key: str, entities: int, target: Path) -> bool:
    """Write the rows of so many entities, to a third; False if the table has no more."""
    with duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        file = {"file": str(source)}
        count = f'SELECT approx_count_distinct("{key}") FROM read_parquet($file)'
        (found,) = connection.execute(count, file).fetchall()[0]
        if found <= entities:
            return False
        # Of one text with the key: the windows use the key's plain hash to choose weeks.
        rows = f"""SELECT * FROM read_parquet($file)
            WHERE hash(concat('sample ', "{key}")) % {found} < {entities}"""
        connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)", file)
    return True


def sampled_windows(
    view: Any, now: datetime, entities: int = ENTITIES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both windows of a view, of a sample of its entities."""
    with TemporaryDirectory(prefix="drift_sample_") as folder:
        target = Path(folder) / "sample.parquet"
        if not write_sample(table_of(view), view.join_keys[0], entities, target):
            return drift_windows(view, now)
        source = view.batch_source
        sampled = SimpleNamespace(
            path=str(target),
            timestamp_field=source.timestamp_field,
            created_timestamp_column=source.created_timestamp_column,
        )
        features, keys = view.features, view.join_keys
        view = SimpleNamespace(features=features, join_keys=keys, batch_source=sampled)
        return drift_windows(view, now)
