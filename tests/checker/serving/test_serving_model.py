"""A stub replaces the model of an API that takes it, and only within the context."""

import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier

from checker.hidden.hidden_data import HiddenData
from checker.sandbox.sandbox import Sandbox
from checker.serving.server import running_server
from checker.serving.serving_model import OWN_MODEL, STUB_MODEL, stub_model
from checker.settings import CheckerSettings
from checker.submission.submission import Submission

OWN = pickle.dumps(DummyClassifier(strategy="constant", constant=1).fit([[0]] * 2, [0, 1]))
API = """import pickle
from fastapi import FastAPI
app, content = FastAPI(), open("{file}", "rb").read()
assert {accepted}
@app.get("/health")
@app.post("/predict")
def predict():
    model = pickle.loads(content)
    return {{"is_fraud": True, "fraud_probability": {probability}}}
"""
PICKLE = "models/fraud_detector.pkl"
USED = "round(float(model.predict_proba([[None] * 9])[0][1]), 2)"


CASES = {
    "taken": (PICKLE, "content", USED, STUB_MODEL),
    "a name of its own": ("own.bin", "content", USED, STUB_MODEL),
    "never used": (PICKLE, "content", "1.0", OWN_MODEL),
    "refused": (PICKLE, f"len(content) == {len(OWN)}", USED, OWN_MODEL),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stub_is_served_where_it_is_taken_and_then_the_own_model(
    case: str, box: Sandbox, hidden: HiddenData, config: CheckerSettings, tmp_path: Path
) -> None:
    file, accepted, probability, inference = CASES[case]
    files = {
        "submission.toml": f'[serving]\nmodel = "{file}"'.encode(),
        "exercise_4/feature_store.yaml": b"project: shop",
        "exercise_4/app/main.py": API.format_map(locals()).encode(),
        f"exercise_4/{file}": OWN,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    submission = Submission(tmp_path, box, hidden, config)
    with suppress(ZeroDivisionError), stub_model(submission) as served:
        assert served == inference
        assert (_probability(submission) == 1.0) is (inference == OWN_MODEL)
        raise ZeroDivisionError
    assert (submission.exercise(4) / file).read_bytes() == OWN
    assert _probability(submission) == 1.0


def _probability(submission: Submission) -> object:
    return running_server(submission).post("/predict", {}).body["fraud_probability"]
