"""The last steps of every change of the dataset: features, manifest, files in place."""

from pathlib import Path

import pyarrow.parquet as pq

from lab.dataset import manifest
from lab.dataset.features import build_feature_tables
from lab.dataset.manifest import Manifest
from lab.dataset.tables import RAW_TABLES, publish_dataset


def release(described: Manifest, stage: Path, data_dir: Path, *, replace: bool) -> Manifest:
    """Compute the features of the raw tables in stage, count, and put all of it into data_dir."""
    files = {table: stage / f"{table}.parquet" for table in RAW_TABLES}
    rows = {
        table: pq.read_metadata(file).num_rows for table, file in files.items() if file.exists()
    }
    rows |= build_feature_tables(stage, described.as_of)
    fingerprint = manifest.fingerprint(stage)
    origin = fingerprint if replace else manifest.read(data_dir).origin
    named = {"rows": rows, "id": fingerprint, "origin": origin}
    released = described.model_copy(update=named)
    manifest.write(released, stage)
    publish_dataset(stage, data_dir, replace=replace)
    return released
