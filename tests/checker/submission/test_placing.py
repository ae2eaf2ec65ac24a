"""Hidden tables fit the declarations of a submission, or the message names the wrong one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from checker.hidden.catalogue import CREATED, EVENT_TIME
from checker.submission.names import Names
from checker.submission.placing import place_feature_tables
from checker.submission.registry import Source, View
from checker.verdict.outcome import SubmissionError

NAME = "merchant_risk_features"
SOURCE = Source("data/merchants.parquet", EVENT_TIME, CREATED, {})
TYPES = {"chargeback_rate": "DOUBLE", "refund_rate": "FLOAT", "total_transactions_30d": "INT64"}
VIEW = View(NAME, ("merchant",), ("merchant_id",), TYPES, timedelta(0), True, SOURCE)
NOW = pd.Timestamp("2026-03-29", tz="UTC")
ROWS = pd.DataFrame(
    {
        "merchant_id": ["merchant_1", "merchant_2", "merchant_3"],
        EVENT_TIME: NOW,
        CREATED: NOW,
        "chargeback_rate": [0.25, None, 0.5],
        "refund_rate": [0.5, 0.125, 0.0],
        "total_transactions_30d": [3, 4, 5],
    }
)


def placed(folder: Path, view: View) -> pd.DataFrame:
    submission: Any = SimpleNamespace(
        names=Names(),
        hidden=SimpleNamespace(tables={NAME: ROWS}),
        registry=SimpleNamespace(views={NAME: view}),
        repo=folder,
        root=folder,
    )
    place_feature_tables(submission)
    return pd.read_parquet(folder / view.source.path)


def test_a_table_has_the_types_that_are_declared(tmp_path: Path) -> None:
    table = placed(tmp_path, replace(VIEW, features={**TYPES, "of_their_own": "BOOL"}))
    assert table["total_transactions_30d"].tolist() == [3, 4, 5]
    assert table["of_their_own"].tolist() == [False, True, False]


def test_a_type_that_cannot_hold_the_values_is_named(tmp_path: Path) -> None:
    view = replace(VIEW, features={**TYPES, "refund_rate": "INT64"})
    with pytest.raises(SubmissionError, match=f"{NAME} declares refund_rate as INT64"):
        placed(tmp_path, view)


def test_a_view_on_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=f"{NAME} reads from no file"):
        placed(tmp_path, replace(VIEW, source=replace(SOURCE, path="")))


def test_a_view_without_an_entity_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=f"{NAME} has no entity"):
        placed(tmp_path, replace(VIEW, join_keys=()))


@pytest.mark.parametrize("path", ["../elsewhere.parquet", "/etc/passwd", "loop", "a\0b"])
def test_a_source_that_leads_elsewhere_or_nowhere_is_the_submissions_mistake(
    path: str, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    view = replace(VIEW, source=replace(SOURCE, path=path))
    with pytest.raises(SubmissionError, match=f"{NAME} reads, (is outside|leads nowhere)"):
        placed(tmp_path, view)
