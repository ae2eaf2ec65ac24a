"""Grade probabilities and verdicts: by the grader's own model where it is served, else by rules."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from checker.hidden.hidden_data import HiddenData
from checker.serving.payments import PROBABILITY, VERDICT
from checker.submission.submission import Submission

INPUTS = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "amount_vs_avg_ratio",
    "transaction_velocity",
    "transaction_amount",
)
WEIGHTS = (0.9, -0.7, 0.6, 0.5, 1.2, -0.4, 0.8)  # no two alike: exchanged inputs show
ROUNDING = 0.0051  # an API may round to two decimals
UNSTABLE = 0.05
SURE = 0.1  # how far from 0.5 a probability leaves no doubt about the verdict


@dataclass(frozen=True)
class KnownModel:
    """The model that the grader has provided; a submission's own is never loaded here."""

    classifier: Any

    def probabilities(self, sent: pd.DataFrame) -> pd.Series:
        inputs = sent[list(INPUTS)].astype("float64").fillna(0).to_numpy()
        return pd.Series(self.classifier.predict_proba(inputs)[:, 1])


def known_model(rows: pd.DataFrame, hidden: HiddenData) -> KnownModel:
    """Return a logistic model of the brief's inputs, in its order; it ignores absent features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ratio = rows["transaction_amount"] / rows["avg_transaction_amount"]
    velocity = rows["transaction_count_30d"] / 30
    inputs = rows.assign(amount_vs_avg_ratio=ratio, transaction_velocity=velocity)[list(INPUTS)]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(inputs.fillna(0).to_numpy(), np.arange(len(inputs)) % 2)  # for scales and classes
    is_present = np.array([name not in hidden.absent for name in INPUTS])
    model[-1].coef_, model[-1].intercept_ = np.array([WEIGHTS]) * is_present, np.zeros(1)
    return KnownModel(model)


def expected_probabilities(submission: Submission, sent: pd.DataFrame) -> pd.Series | None:
    """Return the right probability of each payment; None for a model of the submission's own."""
    model = submission.running(KnownModel)
    return None if model is None else model.probabilities(sent)


def right_scores(submission: Submission, sent: pd.DataFrame, got: pd.DataFrame) -> pd.Series:
    """Return whether each probability is the model's; all are right where that is unknown."""
    expected = expected_probabilities(submission, sent)
    if expected is None:
        return pd.Series(True, index=range(len(sent)))
    return (_numbers(got[PROBABILITY]) - expected).abs() <= ROUNDING


def score_mistakes(submission: Submission, sent: pd.DataFrame, got: pd.DataFrame) -> list[str]:
    """Return what is wrong with the probabilities, and with the verdicts that follow from them.

    `is_fraud` is true above a single threshold; with the grader's model that is the brief's, 0.5.
    """
    score, verdict = _numbers(got[PROBABILITY]), _numbers(got[VERDICT])
    wrong = int((score.notna() & ~right_scores(submission, sent, got)).sum())
    mistakes = [f"{wrong} probabilities are not the model's"] if wrong else []
    least, most = score[verdict == 1].min(), score[verdict == 0].max()
    contrary = verdict.notna() & ((score - 0.5).abs() > SURE) & ((score > 0.5) != (verdict == 1))
    if most > least + ROUNDING:
        mistakes.append(f"is_fraud is false at a probability of {most:.3g}, true at {least:.3g}")
    elif submission.running(KnownModel) and contrary.any():
        mistakes.append(f"is_fraud is not whether it is above 0.5 in {int(contrary.sum())}")
    return mistakes


def unstable(got: pd.DataFrame, again: pd.DataFrame) -> list[str]:
    """Return a mistake if the same payments, sent again, have other probabilities."""
    first = _numbers(got[PROBABILITY])[: len(again)]
    differ = int(((first - _numbers(again[PROBABILITY])).abs() > UNSTABLE).sum())
    mistake = f"{differ} of {len(again)} have another probability when they are repeated"
    return [mistake] if differ else []


def _numbers(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce").astype("float64").reset_index(drop=True)
