"""The online reader and feature view versions."""

from pathlib import Path

from feast import FeatureService
from feast.types import Int64

from feast_plugins.online_features import Status
from feast_plugins.online_reader import OnlineReader
from tests.feast_plugins.asof_repo import HOUR, START, feature_view, source, write_rows
from tests.feast_plugins.engine.engine_repo import END, ENGINE, OpenStore, row


def test_a_new_version_has_no_values_until_it_is_materialized(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """A running reader changes to it; what the older version stored is not its value."""
    file = write_rows(tmp_path / "rows.parquet", [{**row("a", 0, 1), "more": 7}])
    registry = {"path": str(tmp_path / "r.db"), "enable_online_feature_view_versioning": True}
    parts = {**ENGINE, "registry": registry}

    def apply(*names: str) -> None:
        view = feature_view("v", source(file), features=dict.fromkeys(names, Int64))
        store.apply([view, FeatureService(name="all", features=[view])])

    store = open_store(parts=parts)
    apply("value")
    store.materialize(START, END)
    with OnlineReader.open(store.config, "all", now=lambda: START + 2 * HOUR) as reader:
        assert reader.read({"user_id": ["a"]}).values == {"value": [1]}
        apply("value", "more")
        assert reader.refresh()
        assert reader.read({"user_id": ["a"]}).statuses["value"] == [Status.MISSING]
        write_rows(file, [{**row("a", 1, 2), "more": 8}])
        store.materialize(START, END)
        assert reader.read({"user_id": ["a"]}).values == {"value": [2], "more": [8]}
