"""The model behind a submission's API: its own, or one of ours with the brief's seven inputs."""

from contextlib import suppress

import joblib

from checker.hidden.hidden_data import HiddenData
from checker.sandbox import untrusted
from checker.submission.scripts import scripts
from checker.submission.submission import Submission
from checker.verdict.outcome import NotAttemptedError, SubmissionError

EXERCISE = 4
INPUTS = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "amount_vs_avg_ratio",
    "transaction_velocity",
    "transaction_amount",
)
TRAINING = ("generate_training_data.py", "get_training_data", "export_training_data")
MOST_ROWS = 100_000


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
            joblib.dump(_trained(submission.hidden), file)


def inference_seconds(submission: Submission) -> float:
    """What its pickled model takes for one row; 0 where there is none that can be timed.

    The model is the submission's: it may take its time only when it is asked here. So no more
    counts than the limit that the rest has to keep.
    """
    files = sorted((submission.exercise(EXERCISE) / "models").glob("*.pkl"))
    if not files:
        return 0.0
    with suppress(SubmissionError, TypeError, ValueError):
        told = float(submission.probe("timed_inference", exercise=EXERCISE, file=str(files[0])))
        return min(max(0.0, told), submission.config.serving_p95_ms / 1000)
    return 0.0


def _export_training_data(submission: Submission) -> None:
    """Let its exercise 2, where it is there and works, export all mature hidden transactions."""
    script, get, export = TRAINING
    frame = submission.names.frame(submission.hidden.frame(MOST_ROWS))
    with suppress(NotAttemptedError, SubmissionError):
        submission.call(2, script, export, submission.call(2, script, get, frame))


def _trained(hidden: HiddenData) -> object:
    """A model of the brief's inputs, in its order; it also calls large payments fraud."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = hidden.with_answers(hidden.frame(MOST_ROWS))
    ratio = rows["transaction_amount"] / rows["avg_transaction_amount"]
    velocity = rows["transaction_count_30d"] / 30
    inputs = rows.assign(amount_vs_avg_ratio=ratio, transaction_velocity=velocity)[list(INPUTS)]
    is_fraud = (rows["is_fraud"] == 1) | (ratio > ratio.quantile(0.9))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(inputs.fillna(0).to_numpy(), is_fraud)
