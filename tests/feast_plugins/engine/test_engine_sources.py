"""Sources as people write them: the plug-ins return what Feast's stores do, or better, as noted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, ValueType
from feast.types import FeastType, Int64, String, UnixTimestamp

from feast_plugins.feature_source import SourceError
from tests.feast_plugins.asof_repo import DAY, HOUR, START, USER, at, feature_view, source
from tests.feast_plugins.engine.engine_repo import END, ENGINE, FEASTS_OWN, OpenStore

NUMBER = Entity(name="number", value_type=ValueType.INT64)
KEYS = {"user_id": ["a", "b", "z"]}
EVENT_TIME, CREATED = "event_timestamp", "created"
Answer = dict[str, tuple[list[Any], list[Any]]]


def write(file: Path, users: str = "aab", **columns: Any) -> Path:
    """Write rows of an hour each; a column that is None is left out."""
    times = pa.array([START + n * HOUR for n in range(len(users))], pa.timestamp("us", "UTC"))
    table = {"user_id": list(users), EVENT_TIME: times, CREATED: times, "value": range(len(users))}
    table = {column: of for column, of in (table | columns).items() if of is not None}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: pa.array(of) for column, of in table.items()}), file)
    return file


def answers(store: FeatureStore, views: Sequence[FeatureView], keys: Any = KEYS) -> Answer:
    """Return each view's last feature, offline and, after a materialization, online."""
    (key, of), *_ = keys.items()
    names = {view.name: view.features[-1].name for view in views}
    refs = [f"{view}:{feature}" for view, feature in names.items()]
    rows = pd.DataFrame({key: of, EVENT_TIME: START + DAY})
    offline = store.get_historical_features(rows, refs, full_feature_names=True).to_df()
    offline = offline.set_index(key).loc[of]
    store.materialize(START - 10 * DAY, END)
    entities = [{key: each} for each in of]
    online = store.get_online_features(refs, entities, full_feature_names=True).to_dict()
    return {
        view: (
            [None if pd.isna(value) else value for value in offline[f"{view}__{feature}"]],
            online[f"{view}__{feature}"],
        )
        for view, feature in names.items()
    }


def partitioned(folder: Path, name: str, column: str, *values: str) -> FeatureView:
    """Write a folder for each value, without the column, and return a view of it."""
    for number, value in enumerate(values):
        columns = {"user_id": ["ab"[number]], EVENT_TIME: [at(number)], CREATED: [at(number)]}
        columns |= {"value": [number], column: None}
        write(folder / name / f"{column}={value}" / f"{number}.parquet", "x", **columns)
    features: dict[str, FeastType] = {"value": Int64}
    features |= {"country": String} if column == "country" else {}
    features |= {"day": UnixTimestamp} if column == "day" else {}
    return feature_view(name, source(folder / name / "*" / "*.parquet"), features=features)


def test_columns_in_the_names_of_folders(open_store: OpenStore, tmp_path: Path) -> None:
    views = [
        partitioned(tmp_path, "number", "value", "7", "-8"),
        partitioned(tmp_path, "text", "country", "DE", "F%20R"),
        partitioned(tmp_path, "null", "country", "DE", "__HIVE_DEFAULT_PARTITION__"),
        partitioned(tmp_path, "key", "user_id", "a", "b"),
        partitioned(tmp_path, "time", EVENT_TIME, "2026-01-01", "2025-12-31"),
    ]
    theirs = answers(open_store(*views, parts=FEASTS_OWN, name="f"), views)
    assert theirs["text"] == (["DE", "F R", None],) * 2
    assert answers(open_store(*views), views) == theirs


def test_dates_and_text_in_the_names_of_folders_are_as_declared(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """Feast's duckdb store makes 7 of 007. A column in the files themselves has precedence."""
    write(tmp_path / "both" / "value=7" / "1.parquet")
    views = [
        partitioned(tmp_path, "days", "day", "2026-01-01", "2026-01-02"),
        partitioned(tmp_path, "codes", "country", "007", "8"),
        feature_view("both", source("both")),
    ]
    ours = answers(open_store(*views), views)
    assert ours["codes"] == (["007", "8", None],) * 2
    assert ours["both"] == ([1, 2, None],) * 2
    assert ours["days"][0][:2] == [pd.Timestamp(START), pd.Timestamp(START + DAY)]
    assert ours["days"][1] == [START, START + DAY, None]


TIMES = [START, START + HOUR, START]
TEXTS = [f"{time:%Y-%m-%d %H:%M:%S}" for time in TIMES]
STORED_TIMES: dict[str, dict[str, Any]] = {
    "text": {EVENT_TIME: TEXTS},
    "encoded": {CREATED: pa.array(TEXTS).dictionary_encode()},
    "zones": {EVENT_TIME: [time.isoformat() for time in TIMES]},
    "seconds": {EVENT_TIME: [int(time.timestamp()) for time in TIMES]},
    "mixed": {EVENT_TIME: ["2026-01-01", "2026-01-01T10:00:00+09:00", "2026-01-01T00:00:00Z"]},
}


def test_times_that_are_text_or_seconds(open_store: OpenStore, tmp_path: Path) -> None:
    """Feast's engine fails for texts of different forms."""
    views = [
        feature_view(name, source(write(tmp_path / f"{name}.parquet", **columns)))
        for name, columns in STORED_TIMES.items()
    ]
    theirs = answers(open_store(*views[:-1], parts=FEASTS_OWN, name="f"), views[:-1])
    ours = answers(open_store(*views), views)
    assert ours == {**theirs, "mixed": theirs["text"]}
    assert ours["text"] == ([1, 2, None],) * 2


@pytest.mark.parametrize("column", [EVENT_TIME, CREATED])
@pytest.mark.parametrize("stored", ["seconds", "text"])
def test_times_of_another_form_in_each_file(
    column: str, stored: str, open_store: OpenStore, tmp_path: Path
) -> None:
    """Feast's duckdb store, or its engine, fails for these."""
    write(tmp_path / "data" / "1.parquet", **{column: STORED_TIMES[stored][EVENT_TIME]})
    write(tmp_path / "data" / "2.parquet", "c", value=[7])
    view = feature_view("v", source("data"))
    found = answers(open_store(view), [view], {"user_id": ["a", "b", "c"]})["v"]
    assert found == ([1, 2, 7],) * 2


def test_a_text_that_is_no_time_is_named(open_store: OpenStore, tmp_path: Path) -> None:
    write(tmp_path / "rows.parquet", event_timestamp=["2026-01-01", "soon", None])
    store = open_store(feature_view("v", source("rows.parquet")))
    rows = pd.DataFrame({**KEYS, EVENT_TIME: START})
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet .*'soon' of event_timestamp"):
        store.get_historical_features(rows, ["v:value"])
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet .*soon of event_timestamp is not"):
        store.materialize(START, END)


def test_any_name_of_a_column(open_store: OpenStore, tmp_path: Path) -> None:
    columns = ['x"y', "x.y z", "select", "__time", "$value", "{value}"]
    views = []
    for number, column in enumerate(columns):
        changes: dict[str, Any] = {"value": None, column: [4, 5, 6]}
        file = write(tmp_path / f"{number}.parquet", **changes)
        views.append(feature_view(f"v{number}", source(file), features={column: Int64}))
    theirs = answers(open_store(*views, parts=FEASTS_OWN, name="f"), views)
    assert answers(open_store(*views), views) == theirs
    assert list(theirs.values()) == [([5, 6, None],) * 2] * len(columns)


def test_names_that_differ_in_case_only(open_store: OpenStore, tmp_path: Path) -> None:
    """DuckDB reads the first of them under either name; Feast's store fails for the other."""
    write(tmp_path / "rows.parquet", VALUE=[4, 5, 6])
    first, second = (
        feature_view(name, source("rows.parquet"), features={name: Int64})
        for name in ("value", "VALUE")
    )
    assert answers(open_store(first), [first])["value"] == ([1, 2, None],) * 2
    store = open_store(second)
    with pytest.raises(SourceError, match=r"VALUE: .*rows\.parquet has value before VALUE"):
        store.materialize(START, END)


def test_two_columns_of_one_name(open_store: OpenStore, tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "rows.parquet", more=[4, 5, 6]))
    names = [name.replace("more", "value") for name in table.column_names]
    pq.write_table(table.rename_columns(names), tmp_path / "rows.parquet")
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet has 2 columns value"):
        open_store(feature_view("v", source("rows.parquet"))).materialize(START, END)


def test_integers_declared_as_text(open_store: OpenStore, tmp_path: Path) -> None:
    """With a null among them Feast's engine writes 1.0, and its duckdb store returns 1.0."""
    write(tmp_path / "rows.parquet", value=[1, 2, None])
    view = feature_view("v", source("rows.parquet"), features={"value": String})
    assert answers(open_store(view), [view])["v"] == (["2", None, None],) * 2


def test_keys_that_are_floats_with_nan(open_store: OpenStore, tmp_path: Path) -> None:
    """pandas stores integers with missing ones so; Feast's engine fails."""
    file = write(tmp_path / "rows.parquet", user_id=None, number=[1.0, float("nan"), 2.0])
    view = feature_view("v", source("rows.parquet"), NUMBER)
    store = open_store(NUMBER, view)
    assert answers(store, [view], {"number": [1, 2, 3]})["v"] == ([0, 2, None],) * 2
    write(file, user_id=None, number=[1.0, 2.5, 2.0])
    with pytest.raises(SourceError, match=r"v: .*rows\.parquet .*2\.5 of number is not an integer"):
        store.materialize(START, END)


def test_a_view_of_views_goes_to_feasts_engine(open_store: OpenStore, tmp_path: Path) -> None:
    view = feature_view("v", source(write(tmp_path / "rows.parquet")))
    above = FeatureView(
        name="w",
        source=[view],
        sink_source=source("sink.parquet", name="sink"),
        entities=[USER],
        schema=[Field(name="value", dtype=Int64)],
    )
    store = open_store(view, above)
    store.materialize(START, END, ["w"])
    assert len(store.get_feature_view("w").materialization_intervals) == 1


def test_times_are_not_added_to_a_source_of_unix_seconds(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """Arrow would convert them to microseconds."""
    write(tmp_path / "rows.parquet", **STORED_TIMES["seconds"])
    store = open_store(feature_view("v", source("rows.parquet")))
    rows = pd.DataFrame({"user_id": ["a"], EVENT_TIME: [START], CREATED: [START], "value": [1]})
    with pytest.raises(SourceError, match=r"event_timestamp of .* is int64, the rows have times"):
        store.write_to_offline_store("v", rows)


def with_memory(limit: str) -> dict[str, Any]:
    return {**ENGINE, "batch_engine": {**ENGINE["batch_engine"], "memory_limit": limit}}


def wide_view(folder: Path, features: int) -> FeatureView:
    names = [f"value_{number}" for number in range(features)]
    columns: dict[str, Any] = {name: [1, 2, 3] for name in names}
    file = write(folder / "rows.parquet", **columns)
    return feature_view("v", source(file), features=dict.fromkeys(names, Int64))


def test_a_view_of_thousands_of_features(tmp_path: Path, open_store: OpenStore) -> None:
    """DuckDB needs memory for each column in each thread, so it gets one thread here."""
    store = open_store(wide_view(tmp_path, 2_100), parts=with_memory("350MB"))
    store.materialize(START, END)
    found = store.get_online_features(["v:value_2099"], [{"user_id": "a"}]).to_dict()
    assert found["value_2099"] == [2]


def test_too_little_memory_is_named(tmp_path: Path, open_store: OpenStore) -> None:
    store = open_store(wide_view(tmp_path, 100), parts=with_memory("2MB"))
    with pytest.raises(SourceError, match=r"v: .* more than 2MB; give batch_engine a higher"):
        store.materialize(START, END)
