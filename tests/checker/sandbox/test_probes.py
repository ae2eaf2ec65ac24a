"""Our questions inside a sandbox are not answered by what a submission has put in our way."""

import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from checker.sandbox.probes import timed_inference


def test_a_clock_that_a_submission_stopped_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LogisticRegression().fit(np.eye(2), [0, 1])
    joblib.dump(model, tmp_path / "model.joblib")
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    assert timed_inference(str(tmp_path / "model.joblib")) > 0
