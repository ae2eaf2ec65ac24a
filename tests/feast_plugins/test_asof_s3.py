"""Sources and saved datasets in S3: moto's server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSelector, S3FileSystem

from feast_plugins.feature_source import SourceError
from feast_plugins.parquet_files import replace_table
from tests.feast_plugins.asof_repo import (
    ROWS,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    values,
    write_rows,
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start an S3 of this module's own."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3FileSystem:
    """Write ROWS to one object, and to a folder of objects with one that is no data."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    filesystem = S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
    filesystem.create_dir("bucket")
    rows = pq.read_table(write_rows(tmp_path / "rows.parquet", ROWS))
    pq.write_table(rows, "bucket/rows.parquet", filesystem=filesystem)
    for number in range(len(rows)):
        name = f"bucket/folder/{number}.parquet"
        pq.write_table(rows.slice(number, 1), name, filesystem=filesystem)
    with filesystem.open_output_stream("bucket/folder/_temporary/0") as stream:
        stream.write(b"not Parquet")
    return filesystem


def store_on(path: str, endpoint: str, folder: Path, *, pull_latest: bool = False) -> FeatureStore:
    view = feature_view("v", source(path, s3_endpoint_override=endpoint))
    return open_store(folder, view, pull_latest=pull_latest)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("path", ["s3://bucket/rows.parquet", "s3://bucket/folder"])
def test_a_source_in_s3(path: str, endpoint: str, tmp_path: Path) -> None:
    """A source in S3 is joined, materialized and written to."""
    store = store_on(path, endpoint, tmp_path, pull_latest=True)
    assert values(store, entities(("a", 2), ("b", 9))) == [1, 20]
    store.materialize(at(0), at(2))
    assert online(store, "a", "b") == [1, 20]
    row = {"user_id": ["a"], "event_timestamp": [at(3)], "created": [at(4)], "value": [33]}
    store.write_to_offline_store("v", pd.DataFrame(row))
    assert values(store, entities(("a", 2), ("a", 9), ("b", 9))) == [1, 33, 20]


@pytest.mark.parametrize("path", ["saved.parquet", "saved"])
def test_a_saved_data_set_in_s3(
    path: str, bucket: S3FileSystem, endpoint: str, tmp_path: Path
) -> None:
    store = store_on("s3://bucket/rows.parquet", endpoint, tmp_path)
    storage = SavedDatasetFileStorage(f"s3://bucket/{path}", s3_endpoint_override=endpoint)
    for user in ("b", "a"):
        job = store.get_historical_features(entities((user, 2)), ["v:value"])
        job.persist(storage, allow_overwrite=True)
    assert pq.read_table(f"bucket/{path}", filesystem=bucket)["value"].to_pylist() == [1]
    with pytest.raises(SavedDatasetLocationAlreadyExists, match="s3://bucket/saved"):
        job.persist(storage)


def test_rows_exported_to_s3(bucket: S3FileSystem, endpoint: str, tmp_path: Path) -> None:
    view = feature_view("v", source("s3://bucket/rows.parquet", s3_endpoint_override=endpoint))
    store = open_store(tmp_path, view)
    job = store.get_historical_features(entities(("a", 2), ("b", 9)), ["v:value"])
    assert not job.supports_remote_storage_export()
    with pytest.raises(ValueError, match="needs staging_location"):
        job.to_remote_storage()
    store = open_store(
        tmp_path,
        view,
        staging_location="s3://bucket/export/",
        staging_location_endpoint_override=endpoint,
    )
    job = store.get_historical_features(entities(("b", 9)), ["v:value"])
    (address,) = job.to_remote_storage()
    assert job.supports_remote_storage_export()
    assert address.startswith("s3://bucket/export/")
    exported = pq.read_table(address.removeprefix("s3://"), filesystem=bucket)
    assert exported["value"].to_pylist() == [20]


def objects(bucket: S3FileSystem, path: str) -> list[str]:
    return [info.path for info in bucket.get_file_info(FileSelector(path, recursive=True))]


@pytest.mark.parametrize("path", ["failed.parquet", "failed"])
def test_a_write_to_s3_that_fails_leaves_what_was_there(bucket: S3FileSystem, path: str) -> None:
    def chunks() -> Iterator[pa.Table]:
        yield pa.table({"value": [2]})
        raise ValueError("out of luck")

    replace_table([pa.table({"value": [1]})], f"bucket/{path}", bucket)
    before = objects(bucket, "bucket")
    with pytest.raises(ValueError, match="out of luck"):
        replace_table(chunks(), f"bucket/{path}", bucket)
    assert objects(bucket, "bucket") == before
    assert pq.read_table(f"bucket/{path}", filesystem=bucket)["value"].to_pylist() == [1]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("path", ["s3://bucket/none.parquet", "s3://none/rows.parquet"])
def test_an_object_that_is_missing_is_named(path: str, endpoint: str, tmp_path: Path) -> None:
    store = store_on(path, endpoint, tmp_path)
    with pytest.raises(SourceError, match=f"v: {path} has no files"):
        store.get_historical_features(entities(("a", 2)), ["v:value"])
