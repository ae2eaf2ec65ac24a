"""Each wrong submission of exercise 2 fails what it gets wrong, and nothing else."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from checker.submission.names import Names
from checker.verdict.outcome import SubmissionError
from exercise_02_pit_training.checks import exported
from tests.checker.conftest import AssertFailsAlone
from tests.checker.matrix import cases
from tests.checker.mutants import Mutant


@pytest.mark.parametrize("mutant", cases(2))
def test_a_wrong_submission_fails_its_criterion_and_no_other(
    mutant: Mutant, assert_fails_alone: AssertFailsAlone
) -> None:
    assert_fails_alone(mutant)


def test_of_their_files_only_earlier_exports_are_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("X_val.csv", "excluded.parquet", "events.csv", "X_of_theirs.parquet"):
        (data / name).touch()
    submission: Any = SimpleNamespace(
        names=Names(),
        repo=tmp_path,
        exercise=lambda _: tmp_path,
        run=lambda command, cwd: subprocess.run(command, shell=True, cwd=cwd, check=True),
        call=lambda *_: None,
        outputs=lambda *_: None,
    )
    with pytest.raises(SubmissionError, match=r"wrote no data/X_train\.parquet, nor \.csv"):
        exported(submission, pd.DataFrame())
    assert {file.stem for file in data.iterdir()} == {"events", "X_of_theirs"}
