"""What is taken off a prediction's time for inference, whatever a sandbox says of it."""

from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checker.serving.serving_model import inference_seconds
from checker.verdict.outcome import SubmissionError

LIMIT_MS = 15


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(0.004, 0.004), (0.5, 0.015), (-1, 0), (nan, 0), ("soon", 0), ([1], 0), (None, 0)],
    ids=str,
)
def test_no_more_is_taken_off_than_the_limit(told: object, seconds: float, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pkl").touch()

    def probe(*_: object, **__: object) -> object:
        if told is None:
            raise SubmissionError("no predict_proba")
        return told

    submission: Any = SimpleNamespace(
        exercise=lambda _: tmp_path,
        probe=probe,
        config=SimpleNamespace(serving_p95_ms=LIMIT_MS),
    )
    assert inference_seconds(submission) == seconds
