"""Late rows are materialized, corrected ones stay corrected, and the newest row wins."""

from pathlib import Path

import pytest
from feast.feature_view import FeatureViewState

from tests.feast_plugins.asof_repo import DAY, HOUR, START, online, write_rows
from tests.feast_plugins.engine.engine_repo import ENGINE, OpenStore, row, view_of


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


@pytest.mark.parametrize("engine", [ENGINE["batch_engine"]["type"], "local"])
def test_an_older_value_of_the_same_event_time_is_not_written(
    engine: str, open_store: OpenStore, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.parquet", [row("a", 0, 1)])
    store = open_store(view_of(file), parts={**ENGINE, "batch_engine": {"type": engine}})
    for created, expected in ((1, 1), (9, 9), (5, 9)):
        write_rows(file, [row("a", 0, created, created)])
        store.materialize(START, START + DAY)
        assert online(store, "a") == [expected]
