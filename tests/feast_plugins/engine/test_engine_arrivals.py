"""Late rows are materialized, corrected ones stay corrected, and the newest row wins."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from feast.feature_view import FeatureViewState

from feast_plugins import columnar_rows
from tests.feast_plugins.asof_repo import DAY, HOUR, START, online, write_rows
from tests.feast_plugins.engine.engine_repo import END, OpenStore, row, view_of


def test_incremental_runs_take_what_arrived_late(open_store: OpenStore, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [row("a", 0, 1)])
    store = open_store(view_of(file))
    store.materialize(START, START + DAY)
    write_rows(file, [row("a", 0, 1), row("a", 1, 100, created=48)])
    store.materialize_incremental(START + 47 * HOUR)
    assert online(store, "a") == [1]
    store.materialize_incremental(START + 72 * HOUR)
    assert online(store, "a") == [100]


def test_feast_keeps_the_books(open_store: OpenStore, tmp_path: Path) -> None:
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", [row("a", 0, 1)])))
    ends = [START + n * DAY for n in range(3)]
    store.materialize(ends[0], ends[1])
    store.materialize_incremental(ends[2])
    view = store.registry.get_feature_view("v", store.project, allow_cache=False)
    assert view.materialization_intervals == [(ends[0], ends[1]), (ends[1], ends[2])]
    assert view.state == FeatureViewState.AVAILABLE_ONLINE


def test_a_backfill_does_not_bring_back_what_was_corrected(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """The correction arrived after the backfilled day, and was materialized since."""
    rows = [row("a", 0, 2, created=5 * 24), row("a", 0, 1)]
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", rows)))
    store.materialize(START, START + DAY)
    assert online(store, "a") == [1]
    store.materialize_incremental(START + 6 * DAY)
    assert online(store, "a") == [2]
    store.materialize(START, START + DAY)
    assert online(store, "a") == [2]


def test_an_older_row_replaces_nothing(open_store: OpenStore, tmp_path: Path) -> None:
    rows = [row("a", 0, 1), row("a", 24, 2, created=0)]
    store = open_store(view_of(write_rows(tmp_path / "rows.parquet", rows)))
    store.materialize(START, END)
    store.materialize(START, START + HOUR)
    assert online(store, "a") == [2]


@pytest.mark.parametrize(
    "stored", [pa.timestamp("ns"), pa.timestamp("ms", "Asia/Tokyo"), pa.date32()], ids=str
)
def test_rows_that_had_arrived_by_the_footers_are_not_read_twice(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: pa.DataType
) -> None:
    failing = columnar_rows.LEFT_OUT.replace("count(*)", "error('was read twice')")
    monkeypatch.setattr(columnar_rows, "LEFT_OUT", failing)
    moment = START.date() if pa.types.is_date(stored) else START.replace(tzinfo=None)
    rows = [{**row("a", 0, 1), "created": created} for created in (moment, None)]
    file = write_rows(tmp_path / "rows.parquet", rows, created=stored)
    store = open_store(view_of(file))
    store.materialize(START, START + DAY)
    assert online(store, "a") == [1]
    write_rows(file, [row("a", 0, 1), row("a", 0, 1, created=48)])
    with pytest.raises(duckdb.Error, match="was read twice"):
        store.materialize(START, START + DAY)
