"""The model behind a submission's API: its own, one of ours, or a stub for a measurement."""

import pickle
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from checker.sandbox import untrusted
from checker.serving.api_client import is_prediction, post_in_turn
from checker.serving.payments import PROBABILITY, VERDICT, bodies, payments
from checker.serving.scoring import INPUTS, known_model
from checker.serving.server import end_server, running_server
from checker.submission.scripts import scripts
from checker.submission.submission import Submission
from checker.verdict.outcome import NotAttemptedError, SubmissionError

EXERCISE = 4
TRAINING = ("generate_training_data.py", "get_training_data", "export_training_data")
MOST_ROWS = 100_000
STUB_MODEL, OWN_MODEL = "stub model", "its own inference inside"


def provide_model(submission: Submission) -> None:
    """Have a model in models/ of the exercise: what is there, what its script trains, or ours."""
    folder = submission.exercise(EXERCISE)
    models = folder / "models"
    if any(models.glob("*.*")):
        return
    trainers = [file for file in scripts(folder) if file.name == "train_model.py"]
    if trainers:
        _export_training_data(submission)
        submission.run(f"python {trainers[0].relative_to(folder)}", EXERCISE)
    else:
        with untrusted.written(models / "fraud_detector.pkl", submission.root) as file:
            rows = submission.hidden.with_answers(submission.hidden.frame(MOST_ROWS))
            model = submission.remember(known_model(rows, submission.hidden))
            joblib.dump(model.classifier, file)


@contextmanager
def stub_model(submission: Submission) -> Iterator[str]:
    """Restart the API with a stub for its model; yield STUB_MODEL, or OWN_MODEL if it takes none.

    In that case, and at exit, the API has ended and its own model is restored.
    """
    with ExitStack() as restore:
        inference = STUB_MODEL if _serves_stub(submission, restore) else OWN_MODEL
        if inference is OWN_MODEL:
            restore.close()
        yield inference


def _serves_stub(submission: Submission, restore: ExitStack) -> bool:
    """Start the API with a stub; return whether all its predictions have the stub's probability."""
    file = submission.exercise(EXERCISE) / submission.names.model
    # A service may round to two digits; the verdict is the same by any sensible threshold.
    probability = secrets.choice((0.97, 0.98, 0.99))
    try:
        own = untrusted.content(file, submission.root)
        end_server(submission)  # it may have mapped the file
        with untrusted.written(file, submission.root) as model:
            restore.callback(_restore, submission, file, own)
            pickle.dump(_stub(round(100 * probability)), model)
        server = running_server(submission)
    except SubmissionError:
        return False
    found = post_in_turn(server, bodies(payments(submission.hidden, 5, 9)))
    if not all(map(is_prediction, found)):
        return False
    served = np.array([f[PROBABILITY] for f in found])
    if np.allclose(served, 1 - probability):
        raise SubmissionError(f"fraud_probability is not that of class 1, {probability}")
    is_served = np.allclose(served, probability)
    if is_served and not all(f[VERDICT] for f in found):
        raise SubmissionError(f"is_fraud is false at a fraud_probability of {probability}")
    return bool(is_served)


def _restore(submission: Submission, file: Path, content: bytes) -> None:
    end_server(submission)
    with untrusted.written(file, submission.root) as model:
        model.write(content)


def _stub(percent: int) -> object:
    """A classifier of constant probability for any number of columns; 0.01 ms a row."""
    from sklearn.dummy import DummyClassifier

    rows = pd.DataFrame(0.0, index=range(100), columns=list(INPUTS))
    return DummyClassifier(strategy="prior").fit(rows, np.repeat([1, 0], [percent, 100 - percent]))


def _export_training_data(submission: Submission) -> None:
    """Let its exercise 2, where it is there and works, export all mature hidden transactions."""
    script, get, export = TRAINING
    frame = submission.names.frame(submission.hidden.frame(MOST_ROWS))
    with suppress(NotAttemptedError, SubmissionError):
        submission.call(2, script, export, submission.call(2, script, get, frame))
