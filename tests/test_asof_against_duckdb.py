"""The as-of store beside Feast's duckdb store: equal on awkward rows; where not, the case."""

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureStore, FeatureView, Field
from feast.types import Float32, Int32, Int64

from feast_plugins.feature_source import SourceError
from tests.asof_repo import (
    DUCKDB,
    HOUR,
    MERCHANT,
    MICROSECONDS,
    OURS,
    ROWS,
    USER,
    Row,
    asked,
    at,
    feature_view,
    open_store,
    source,
    write_rows,
)


def awkward_rows(random: Random, *unique: str) -> list[Row]:
    """In no order, with null keys and nulls, created early, late, or at a time unknown.

    No two are equal in `unique`: which of those would count is left open by Feast.
    """
    rows = {}
    for number in range(400):
        created = random.choice([None, *range(60)])
        row = {
            "user_id": random.choice(["a", "b", "c", None]),
            "merchant_id": random.choice("xyz"),
            "event_timestamp": at(random.randint(0, 40)),
            "created": None if created is None else at(created),
            "value": random.choice([None, number]),
        }
        rows[tuple(row[name] for name in unique)] = row
    return list(rows.values())


def stores(folder: Path, random: Random) -> list[FeatureStore]:
    """Feast's and ours on the same files: a view by user, one of two keys without created."""
    by_user = awkward_rows(random, "user_id", "event_timestamp", "created")
    undated = awkward_rows(random, "user_id", "merchant_id", "event_timestamp")
    one = write_rows(folder / "one.parquet", by_user)
    two = write_rows(folder / "two.parquet", undated)
    views = [
        feature_view("one", source(one), ttl=9 * HOUR),
        feature_view("two", source(two, ""), USER, MERCHANT, ttl=timedelta(0)),
    ]
    payer = views[0].with_name("payer").with_join_key_map({"user_id": "payer_id"})
    service = FeatureService(name="all", features=[views[0].with_name("own"), payer, views[1]])
    return [open_store(folder, *views, service, offline=offline) for offline in (DUCKDB, OURS)]


@pytest.mark.parametrize("known_only", [False, True], ids=["true", "known"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_on_awkward_rows(tmp_path: Path, seed: int, known_only: bool) -> None:
    """Three joins at once, of rows that repeat, have null keys, or come before all others."""
    random = Random(seed)
    rows = pd.DataFrame(
        {
            "user_id": random.choices(["a", "b", "c", "d", None], k=500),
            "payer_id": random.choices(["a", "b", "c", "d", None], k=500),
            "merchant_id": random.choices(["x", "y", "w"], k=500),
            "event_timestamp": pd.DatetimeIndex([at(random.randint(-2, 60)) for _ in range(500)]),
            "row": range(500),
        }
    )
    answers = [
        store.get_historical_features(
            rows,
            store.get_feature_service("all"),
            full_feature_names=True,
            filter_by_created_timestamp=known_only,
        )
        .to_df()
        .sort_values("row", ignore_index=True)
        for store in stores(tmp_path, random)
    ]
    theirs, ours = answers
    assert ours.filter(like="__value").notna().mean().between(0.1, 0.9).all()
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_dtype=False)


def both(
    folder: Path, rows: list[Row], features: dict[str, Any] | None = None, **types: Any
) -> list[Any]:
    file = write_rows(folder / "rows.parquet", rows, **types)
    view = feature_view("v", source(file), **({"features": features} if features else {}))
    return [open_store(folder, view, offline=offline) for offline in (DUCKDB, OURS)]


def test_duckdb_gives_the_types_of_the_file(tmp_path: Path) -> None:
    """A float32 that was stored as float64 is another number online than offline."""
    rows = [{**row, "ratio": 0.1} for row in ROWS]
    theirs, ours = (
        store.get_historical_features(asked(("a", 2)), ["v:ratio", "v:value"]).to_arrow()
        for store in both(tmp_path, rows, {"ratio": Float32, "value": Int32})
    )
    assert [theirs.schema.field(n).type for n in ("ratio", "value")] == [pa.float64(), pa.int64()]
    assert [ours.schema.field(n).type for n in ("ratio", "value")] == [pa.float32(), pa.int32()]


def test_duckdb_mixes_the_rows(tmp_path: Path) -> None:
    """Those without features come last, or first, or elsewhere."""
    rows = asked(*((user, 9) for user in ["a", "nobody", "b"] * 2000), row=range(6000))
    theirs, ours = (
        store.get_historical_features(rows, ["v:value"]).to_df()["row"].tolist()
        for store in both(tmp_path, ROWS)
    )
    assert theirs != list(range(6000)) == ours


def test_duckdb_takes_pandas_frames_only(tmp_path: Path) -> None:
    theirs, ours = both(tmp_path, ROWS)
    query = "SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS event_timestamp"
    for frame in (query, pa.Table.from_pandas(asked(("a", 2)))):
        with pytest.raises(AttributeError):
            theirs.get_historical_features(frame, ["v:value"])
        assert ours.get_historical_features(frame, ["v:value"]).to_df()["value"].tolist() == [1]


def test_duckdb_reads_paths_from_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.parquet", ROWS)
    view = feature_view("v", source("rows.parquet"))
    theirs, ours = (open_store(tmp_path, view, offline=offline) for offline in (DUCKDB, OURS))
    monkeypatch.chdir("/")
    with pytest.raises(Exception, match="No files found"):
        theirs.get_historical_features(asked(("a", 2)), ["v:value"]).to_df()
    assert ours.get_historical_features(asked(("a", 2)), ["v:value"]).to_df()["value"].tolist() == [
        1
    ]


def test_duckdb_joins_times_with_and_without_a_zone(tmp_path: Path) -> None:
    """Which may be hours apart; here that is an error."""
    theirs, ours = both(tmp_path, ROWS, event_timestamp=pa.timestamp("us"), created=MICROSECONDS)
    rows = asked(("a", 2))
    assert theirs.get_historical_features(rows, ["v:value"]).to_df()["value"].tolist() == [1]
    with pytest.raises(SourceError, match="differ in their zone"):
        ours.get_historical_features(rows, ["v:value"])


def test_duckdb_cannot_materialize_a_view_without_entities(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", ROWS)
    fields = [Field(name="value", dtype=Int64)]
    view = FeatureView(name="v", schema=fields, source=source(file), ttl=timedelta(days=1))
    theirs, ours = (
        open_store(tmp_path, view, offline=offline, pull_latest=True) for offline in (DUCKDB, OURS)
    )
    with pytest.raises(ValueError, match="__dummy_id"):
        theirs.materialize(at(0), at(9))
    ours.materialize(at(0), at(9))
