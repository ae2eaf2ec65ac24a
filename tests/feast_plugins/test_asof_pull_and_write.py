"""The as-of store's reads for a materialization, and its writes: atomic."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureStore
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage

from feast_plugins.feature_source import SourceError
from feast_plugins.parquet_files import parquet_files
from tests.feast_plugins.asof_repo import (
    MICROSECONDS,
    OURS,
    ROWS,
    START,
    at,
    entities,
    feature_view,
    online,
    open_store,
    source,
    values,
    write_rows,
)

TIED = [
    {"user_id": "a", "event_timestamp": at(1), "created": at(9), "value": 1},
    {"user_id": "a", "event_timestamp": at(1), "created": at(5), "value": 2},
    {"user_id": "a", "event_timestamp": at(1), "created": None, "value": 3},
    {"user_id": "b", "event_timestamp": at(0), "created": at(0), "value": 4},
    {"user_id": "b", "event_timestamp": at(30), "created": at(30), "value": 5},
]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    write_rows(tmp_path / "rows.parquet", ROWS)
    return open_store(tmp_path, feature_view("v", source("rows.parquet")), rows_per_chunk=2)


@pytest.mark.parametrize("pull_latest", [False, True])
@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("ms", "Asia/Tokyo")], ids=str)
def test_the_newest_rows_of_an_interval(
    tmp_path: Path, kind: pa.DataType, pull_latest: bool
) -> None:
    """Both ends included; of equal times the row created last."""
    file = write_rows(tmp_path / "rows.parquet", TIED, event_timestamp=kind, created=kind)
    store = open_store(tmp_path, feature_view("v", source(file)), pull_latest=pull_latest)
    store.materialize(at(0), at(29))
    assert online(store, "a", "b", "c") == [1, 4, None]
    store.materialize(at(29), at(30))
    assert online(store, "a", "b") == [1, 5]


def test_the_newest_rows_of_a_folder_under_other_names(tmp_path: Path) -> None:
    for number, row in enumerate(TIED):
        renamed = {"uid": row["user_id"], "ts": row["event_timestamp"], "val": row["value"]}
        types = {"uid": pa.string(), "ts": MICROSECONDS, "val": pa.int64()}
        write_rows(tmp_path / "data" / f"{number}.parquet", [renamed], **types)
    mapping = {"uid": "user_id", "ts": "event_timestamp", "val": "value"}
    store = open_store(tmp_path, feature_view("v", source("data", "", field_mapping=mapping)))
    store.materialize(START, at(30))
    assert online(store, "b") == [5]


def test_every_row_of_an_interval(store: FeatureStore, tmp_path: Path) -> None:
    """Every row is saved as a data set, and in a file of the user's own."""
    plugin, config = store._get_provider().offline_store, store.config
    columns = (["user_id"], ["value"], "event_timestamp", "created")
    of = source("rows.parquet")
    job = plugin.pull_all_from_table_or_query(config, of, *columns, at(1), at(2))
    assert sorted(job.to_df()["value"]) == [1, 20]
    assert job.to_arrow().schema.field("event_timestamp").type == MICROSECONDS
    job.persist(SavedDatasetFileStorage("pulled.parquet"))
    assert pq.read_table(tmp_path / "pulled.parquet")["value"].to_pylist() == [1, 20]
    unbounded = plugin.pull_all_from_table_or_query(config, of, *columns)
    assert len(unbounded.to_df()) == 3


@pytest.mark.parametrize("kind", ["pandas", "arrow", "sql"])
def test_a_saved_data_set(store: FeatureStore, tmp_path: Path, kind: str) -> None:
    rows = entities(("a", 2), ("c", 2), ("b", 9), ("a", 2), ("a", 9))
    rows.to_parquet(tmp_path / "entities.parquet")
    query = "SELECT * FROM read_parquet('entities.parquet')"
    frame = {"pandas": rows, "arrow": pa.Table.from_pandas(rows), "sql": query}[kind]
    job = store.get_historical_features(frame, ["v:value"])
    storage = SavedDatasetFileStorage("saved.parquet")
    store.create_saved_dataset(job, "saved", storage)
    saved = pq.read_table(tmp_path / "saved.parquet")
    assert saved.equals(job.to_arrow())
    assert saved["value"].to_pylist() == [1, None, 20, 1, 3]
    again = store.get_saved_dataset("saved").to_df()
    assert sorted(again["value"].fillna(-1)) == [-1, 1, 1, 3, 20]


def test_a_data_set_with_a_scheme(store: FeatureStore, tmp_path: Path) -> None:
    """The path of a data set may have a scheme, as that of a source."""
    job = store.get_historical_features(entities(("a", 2)), ["v:value"])
    storage = SavedDatasetFileStorage(f"file://{tmp_path}/saved.parquet")
    store.create_saved_dataset(job, "saved", storage)
    assert pq.read_table(tmp_path / "saved.parquet")["value"].to_pylist() == [1]
    assert list(store.get_saved_dataset("saved").to_df()["value"]) == [1]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)


def persist(store: FeatureStore, user: str, path: str, **options: Any) -> list[Any]:
    """Persist one row of a user; return what a view of the data set would read."""
    job = store.get_historical_features(entities((user, 9)), ["v:value"])
    job.persist(SavedDatasetFileStorage(path), **options)
    folder = Path(store.config.repo_path) / path
    return [pq.read_table(file)["value"].to_pylist() for file in parquet_files(folder)]


@pytest.mark.parametrize(
    "path", ["new", "empty", "folder", "folder.parquet", "file", "deep/er/x.parquet"]
)
def test_a_data_set_replaces_whatever_exists(
    store: FeatureStore, tmp_path: Path, path: str
) -> None:
    """A folder, of Feast or Spark, or a file; a name without .parquet is a folder, as in Feast."""
    if path.startswith("folder"):
        for name in ("part-0.parquet", "part-1.parquet"):
            write_rows(tmp_path / path / name, ROWS)
        (tmp_path / path / "_SUCCESS").touch()
    elif path == "empty":
        (tmp_path / path).mkdir()
    elif path == "file":
        write_rows(tmp_path / path, ROWS)
    assert persist(store, "a", path, allow_overwrite=True) == [[3]]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        persist(store, "b", path)
    assert persist(store, "b", path, allow_overwrite=True) == [[20]]
    assert (tmp_path / path).is_dir() == (path in ("new", "empty", "folder", "folder.parquet"))


@pytest.mark.parametrize("name", ["notes.csv", "rows.parquet", "day=1/part-0.parquet", "x/y.csv"])
def test_a_folder_with_other_files_is_left_alone(
    store: FeatureStore, tmp_path: Path, name: str
) -> None:
    assert persist(store, "a", "saved") == [[3]]
    write_rows(tmp_path / "saved" / name, ROWS)
    with pytest.raises(FileExistsError, match=f"is a folder with other files, .*/{name}"):
        persist(store, "b", "saved", allow_overwrite=True)
    assert (tmp_path / "saved" / name).exists()
    assert len(parquet_files(tmp_path / "saved")) == 2


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """The write fails in its last chunk, when most is written."""
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", ROWS)))
    store = open_store(tmp_path, view, rows_per_chunk=100_000)
    storage = SavedDatasetFileStorage("saved.parquet")
    store.get_historical_features(entities(("a", 2)), ["v:value"]).persist(storage)
    before = sorted(file.name for file in tmp_path.iterdir())
    query = """
        SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS event_timestamp,
            CASE WHEN i < 999000 THEN i ELSE error('out of luck')::INT END AS n
        FROM range(1000000) numbers(i)
    """
    failing = store.get_historical_features(query, ["v:value"])
    # One thread of DuckDB fails, and the others are interrupted: either is raised first
    with pytest.raises(Exception, match=r"out of luck|Interrupted"):
        failing.persist(storage, allow_overwrite=True)
    assert pq.read_table(tmp_path / "saved.parquet")["value"].to_pylist() == [1]
    assert sorted(file.name for file in tmp_path.iterdir()) == before


def correction(value: Any) -> pd.DataFrame:
    times = pd.DatetimeIndex([at(3)])
    return pd.DataFrame(
        {"value": [value], "user_id": ["a"], "event_timestamp": times, "created": times}
    )


@pytest.mark.parametrize("path", ["rows.parquet", "folder"])
def test_rows_written_to_the_store_count(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the process runs; of rows that are equal in all times the last written."""
    write_rows(tmp_path / (path if path.endswith("parquet") else f"{path}/0.parquet"), ROWS)
    store = open_store(tmp_path, feature_view("v", source(path)))
    monkeypatch.chdir("/")
    store.write_to_offline_store("v", correction(33))
    assert values(store, entities(("a", 2), ("a", 9), ("b", 9))) == [1, 33, 20]
    file = tmp_path / path
    assert pq.read_table(file).num_rows == 4
    assert pq.read_table(file).schema.field("event_timestamp").type == MICROSECONDS


def test_the_first_rows_are_written_to_an_empty_table(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    store = open_store(tmp_path, feature_view("v", source(file)))
    store.write_to_offline_store("v", correction(33))
    assert values(store, entities(("a", 9))) == [33]


def test_rows_that_do_not_fit_are_not_written(store: FeatureStore, tmp_path: Path) -> None:
    before = (tmp_path / "rows.parquet").read_bytes()
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet cannot hold the rows"):
        store.write_to_offline_store("v", correction("many"))
    with pytest.raises(ValueError, match="missing_expected_columns"):
        store.write_to_offline_store("v", correction(1).drop(columns="value"))
    assert (tmp_path / "rows.parquet").read_bytes() == before


def test_rows_are_not_written_to_a_pattern(store: FeatureStore, tmp_path: Path) -> None:
    plugin, view = store._get_provider().offline_store, feature_view("v", source("row*.parquet"))
    rows = pa.Table.from_pandas(correction(33))
    with pytest.raises(SourceError, match=r"v: .*row\*\.parquet is a pattern"):
        plugin.offline_write_batch(store.config, view, rows, None)
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 3


def test_logged_features_have_the_columns_of_feasts_store(tmp_path: Path) -> None:
    """No dummy key, and no `__log_date`."""
    (tmp_path / "logs").mkdir()
    destination = FileLoggingDestination(path=str(tmp_path / "logs"))
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", ROWS)))
    service = FeatureService(
        name="s", features=[view], logging_config=LoggingConfig(destination=destination)
    )
    moment = pa.array([at(1)], MICROSECONDS)
    logged = {
        "v__value": [1],
        "v__value__timestamp": moment,
        "v__value__status": pa.array([1], "i4"),
    }
    rows = pa.table(
        {"user_id": ["a"], **logged, "__log_timestamp": moment, "__log_date": [START.date()]}
        | {"__request_id": ["1"]}
    )
    columns = []
    for offline in (OURS, "duckdb"):
        store = open_store(tmp_path, view, service, offline=offline)
        store.write_logged_features(rows, service)
        provider, span = store._get_provider(), (at(0), at(2))
        logs = provider.retrieve_feature_service_logs(service, *span, store.config, store.registry)
        columns.append(set(logs.to_df().columns))
    assert columns[0] == columns[1] == set(rows.column_names) - {"__log_date"}
