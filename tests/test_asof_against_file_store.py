"""Where Feast's file store (dask) differs: the table in docs/plugins/asof_offline_store.md.

Each test runs both stores on the same rows, and names a row of the table.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast.types import Float32, Int64

from tests.asof_repo import (
    FILE,
    OURS,
    ROWS,
    Row,
    asked,
    feature_view,
    open_store,
    source,
    write_rows,
)

Answers = Callable[..., list[list[Any]]]


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    """What both stores answer, theirs first: the number of each asked row, and its value."""

    def of(rows: pd.DataFrame, table: list[Row] = ROWS) -> list[list[Any]]:
        view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", table)))
        numbered = rows.assign(row=range(len(rows)))
        found = []
        for offline in (FILE, OURS):
            store = open_store(tmp_path, view, offline=offline)
            answer = store.get_historical_features(numbered, ["v:value"]).to_df()
            filled = answer["value"].astype(object).where(answer["value"].notna(), None)
            found.append(list(zip(answer["row"], filled, strict=True)))
        return found

    return of


def test_equal_key_and_moment(answers: Answers) -> None:
    theirs, ours = answers(asked(("a", 2), ("a", 2), ("b", 9)))
    assert sorted(theirs) == [(1, 1), (2, 20)]
    assert ours == [(0, 1), (1, 1), (2, 20)]


def test_features_older_than_their_ttl(answers: Answers) -> None:
    theirs, ours = answers(asked(("a", 2), ("b", 1000)))
    assert theirs == [(0, 1)]
    assert ours == [(0, 1), (1, None)]


def test_moments_before_the_first_row(answers: Answers) -> None:
    theirs, ours = answers(asked(("a", 2), ("b", 0)))
    assert theirs == [(0, 1)]
    assert ours == [(0, 1), (1, None)]


def test_moments_that_are_missing(answers: Answers) -> None:
    rows = asked(("a", 2), ("b", 9))
    rows.loc[1, "event_timestamp"] = pd.NaT
    theirs, ours = answers(rows)
    assert theirs == [(0, 1)]
    assert ours == [(0, 1), (1, None)]


def test_null_keys(answers: Answers) -> None:
    theirs, ours = answers(asked(("a", 2), (None, 9)), [*ROWS, {**ROWS[0], "user_id": None}])
    assert dict(theirs) == {0: 1, 1: 1}
    assert ours == [(0, 1), (1, None)]


def test_the_order_of_rows(answers: Answers) -> None:
    theirs, ours = answers(asked(("b", 9), ("a", 2)))
    assert theirs == [(1, 1), (0, 20)]
    assert ours == [(0, 20), (1, 1)]


def test_types_of_the_file(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [{**row, "ratio": 0.1} for row in ROWS])
    view = feature_view("v", source(file), features={"value": Int64, "ratio": Float32})
    theirs, ours = (
        open_store(tmp_path, view, offline=offline)
        .get_historical_features(asked(("a", 2)), ["v:ratio"])
        .to_df()["ratio"]
        for offline in (FILE, OURS)
    )
    assert (theirs.dtype, ours.dtype) == ("float64", "float32")


@pytest.mark.parametrize("kind", ["arrow", "sql", "text"])
def test_other_frames(tmp_path: Path, kind: str) -> None:
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", ROWS)))
    theirs, ours = (open_store(tmp_path, view, offline=offline) for offline in (FILE, OURS))
    rows: Any = asked(("a", 2))
    if kind == "arrow":
        rows = pa.Table.from_pandas(rows)
    elif kind == "sql":
        rows = "SELECT 'a' AS user_id, TIMESTAMP '2026-01-01 02:00:00' AS event_timestamp"
    else:
        rows["event_timestamp"] = "2026-01-01 02:00:00"
    with pytest.raises((ValueError, AttributeError)):
        theirs.get_historical_features(rows, ["v:value"]).to_df()
    assert ours.get_historical_features(rows, ["v:value"]).to_df()["value"].tolist() == [1]


def test_a_column_called_like_a_feature(tmp_path: Path) -> None:
    view = feature_view("v", source(write_rows(tmp_path / "rows.parquet", ROWS)))
    theirs, ours = (open_store(tmp_path, view, offline=offline) for offline in (FILE, OURS))
    rows = asked(("a", 2), value=[7])
    answer = theirs.get_historical_features(rows, ["v:value"]).to_df()
    assert answer[["value", "value__"]].to_numpy().tolist() == [[7, 1]]
    with pytest.raises(ValueError, match="a column value already"):
        ours.get_historical_features(rows, ["v:value"])
