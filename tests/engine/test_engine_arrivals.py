"""What arrives late is materialized, what was corrected stays so, and the newest row wins."""

import threading
from pathlib import Path

from feast import FeatureStore
from feast.feature_view import FeatureViewState
from feast.types import Int64

from tests.engine.engine_repo import (
    DAY,
    END,
    HOUR,
    MINUTE,
    START,
    OpenStore,
    online,
    view_of,
    write_rows,
)


def test_incremental_runs_take_what_arrived_late(open_store: OpenStore, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    first = ("a", START, START, 1)
    write_rows(file, first)
    store = open_store(view_of(file, count=Int64))
    store.materialize(START, START + DAY)
    late = ("a", START + HOUR, START + 2 * DAY, 100)
    write_rows(file, first, late)
    store.materialize_incremental(START + 2 * DAY - MINUTE)
    assert online(store, "a") == [1]
    store.materialize_incremental(START + 3 * DAY)
    assert online(store, "a") == [100]


def test_feast_keeps_the_books(open_store: OpenStore, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", ("a", START, START, 1))
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    ends = [START + n * DAY for n in range(3)]
    store.materialize(ends[0], ends[1])
    store.materialize_incremental(ends[2])
    view = store.registry.get_feature_view("v", "p", allow_cache=False)
    assert view.materialization_intervals == [(ends[0], ends[1]), (ends[1], ends[2])]
    assert view.state == FeatureViewState.AVAILABLE_ONLINE


def test_a_backfill_does_not_bring_back_what_was_corrected(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """The correction arrived after the backfilled day, and was materialized since."""
    mistake, correction = ("a", START, START, 1), ("a", START, START + 5 * DAY, 2)
    write_rows(tmp_path / "rows.parquet", correction, mistake)
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    store.materialize(START, START + DAY)
    assert online(store, "a") == [1]
    store.materialize_incremental(START + 6 * DAY)
    assert online(store, "a") == [2]
    store.materialize(START, START + DAY)
    assert online(store, "a") == [2]


def test_an_older_row_replaces_nothing(open_store: OpenStore, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", ("a", START, START, 1), ("a", START + DAY, START, 2))
    store = open_store(view_of(tmp_path / "rows.parquet", count=Int64))
    store.materialize(START, END)
    store.materialize(START, START + HOUR)
    assert online(store, "a") == [2]


def test_racing_runs_leave_the_newest(open_store: OpenStore, tmp_path: Path) -> None:
    """Four runs, each with another version of the same 2,000 users, set off together."""
    stores = []
    for version in range(4):
        file = tmp_path / f"{version}.parquet"
        moment = START + version * HOUR
        write_rows(file, *((f"u{n}", moment, moment, version) for n in range(2_000)))
        stores.append(open_store(view_of(file, count=Int64), name=str(version)))
    begin = threading.Barrier(len(stores), timeout=30)

    def run(store: FeatureStore) -> None:
        begin.wait()
        store.materialize(START, END)

    runs = [threading.Thread(target=run, args=[store]) for store in stores]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    asked = {"user_id": [f"u{n}" for n in range(2_000)]}
    assert set(stores[0].get_online_features(["v:count"], asked).to_dict()["count"]) == {3}
