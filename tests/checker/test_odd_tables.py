"""Whatever a submission's tables hold is its own mistake, never an error of the grader."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checker.hidden.catalogue import EVENT_TIME
from checker.hidden.hidden_data import HiddenData
from checker.sandbox import untrusted
from checker.submission.names import Names
from checker.verdict.outcome import SubmissionError
from exercise_02_pit_training import checks as pit
from exercise_06_monitoring import checks as monitoring

VALUES = {
    "text": "yesterday",
    "no text": "",
    "null": None,
    "truth": True,
    "infinity": np.inf,
    "bytes": b"\xff",
    "list": [1, 2],
    "object": {"a": 1},
    "date": datetime.date(2026, 1, 1),
    "time": datetime.time(1),
    "duration": datetime.timedelta(seconds=1),
    "time without a zone": pd.Timestamp("2026-01-01"),
    "time elsewhere": pd.Timestamp("2026-01-01", tz="Asia/Tokyo"),
    "the year one": datetime.datetime(1, 1, 1),
    "decimal": Decimal("1.5"),
    "large": -(2**63),
    "larger": np.uint64(2**64 - 1),
}
FRAMES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "no rows": lambda frame: frame.iloc[:0],
    "no columns": lambda frame: frame[[]],
    "two levels of names": lambda frame: pd.concat({"of theirs": frame}, axis=1),
    "every row twice": lambda frame: pd.concat([frame, frame]),
    "keys in the index": lambda frame: frame.set_index(frame.columns[0]),
}


@pytest.fixture
def travelled(tmp_path: Path) -> "Travel":
    """Return a function that passes a table to the grader by a file, as a submission does."""

    def travel(frame: pd.DataFrame) -> pd.DataFrame:
        frame.to_parquet(tmp_path / "table.parquet")
        return untrusted.table(tmp_path / "table.parquet", tmp_path)

    return travel


def odd(frame: pd.DataFrame, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Yield copies of a table in which a column, or the whole, is malformed."""
    for change in FRAMES.values():
        yield change(frame)
    for column in columns:
        yield frame.assign(**{column: frame[column].astype("category")})
        yield frame.assign(**{column: frame[column].where(np.arange(len(frame)) % 2 > 0)})
        for value in VALUES.values():
            yield frame.assign(**{column: pd.Series([value] * len(frame), index=frame.index)})


Travel = Callable[[pd.DataFrame], pd.DataFrame]


def grade(check: Callable[[Any], object], submission: Any) -> None:
    """Grade; any exception but this one would be an error of ours."""
    with suppress(SubmissionError):
        check(submission)


@pytest.mark.slow
def test_training_data(
    hidden: HiddenData, travelled: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for writes_files in ("place_payments_at_midnight", "place_raw_tables"):
        monkeypatch.setattr(pit, writes_files, lambda _: None)
    right = hidden.with_answers(hidden.frame(1_000))
    for table in map(travelled, odd(right, ["user_id", EVENT_TIME])):
        submission = SimpleNamespace(
            hidden=hidden,
            names=Names(),
            view=lambda *_: SimpleNamespace(ttl=datetime.timedelta(days=90)),
            call=lambda *_, table=table: table,
        )
        grade(pit.training_data_is_generated, submission)
        grade(pit.leakage_is_demonstrated, submission)


@pytest.mark.slow
def test_exported_files(hidden: HiddenData, travelled: Travel) -> None:
    frame = hidden.with_answers(hidden.frame(2_000)).assign(is_fraud=1)
    right = {
        f"{part}_{split}": rows
        for split, number in (("train", 0), ("val", 1), ("test", 2))
        for part, rows in (
            ("X", frame[number::3].drop(columns="is_fraud")),
            ("y", frame[number::3][["is_fraud"]]),
        )
    }
    for name, column in (
        ("X_val", "transaction_amount"),
        ("y_val", "is_fraud"),
        ("X_val", "chargeback_rate"),
    ):
        for odd_one in odd(right[name], [column]):
            files = {n: travelled(table) for n, table in {**right, name: odd_one}.items()}
            submission = SimpleNamespace(
                hidden=hidden,
                names=Names(),
                repo=None,
                exercise=lambda _: None,
                run=lambda *_, **__: None,
                call=lambda *_: None,
                outputs=lambda _, file, __, files=files: files.get(file, files["y_test"]),
            )
            grade(pit.splits_are_exported, submission)


def test_a_drift_report(travelled: Travel) -> None:
    right = pd.DataFrame({"feature": ["a"], "has_drift": True, "psi": 0.3, "severity": "high"})
    tables = [travelled(frame) for frame in odd(right, list(right))]
    for returned in [*tables, [{"feature": "a"}, 1], [[1], 2], [1], {}, "report", None]:

        def read(submission: Any) -> None:
            for row in monitoring.report(submission, ["a"]).values():
                monitoring.row_is_right(row, "drift")

        grade(read, SimpleNamespace(call=lambda *_, returned=returned: returned))
