"""Evaluate the model by outcomes: fraudsters who pay as customers do change no input.

Payments are grouped by the week of the payment, once the youngest is older than the labels'
maturity, labelled or not. Frauds are labelled first: by the date of the label the newest week has a
fraud share of 100 %. Declined payments never get a label; they are left out, and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import joblib
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.windows import (
    MODEL,
    WEEK,
    Tables,
    read_model,
    read_requests,
    read_training,
)
from lab.learn import UserError, settings

MATURITY = timedelta(days=7)
FEWEST_FRAUDS, MOST_WEEKS = 100, 8
RESAMPLES, LEVEL = 200, 0.99
KEYS = ["user_id", "merchant_id", "event_timestamp"]


@dataclass(frozen=True)
class Outcome:
    """PR-AUC with its interval by users, recall at the threshold, frauds and expected frauds."""

    payments: int
    frauds: int
    expected: float
    recall: float
    pr_auc: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"PR-AUC {self.pr_auc:.3f} ({self.low:.3f} to {self.high:.3f}), recall "
            f"{self.recall:.0%}, {self.frauds} frauds, {self.expected:.0f} expected, of "
            f"{self.payments:,} payments"
        )


def evaluate(payments: pd.DataFrame, threshold: float) -> Outcome:
    """Evaluate payments: user_id, score, is_fraud. Resample users: their rows are correlated."""
    users, names = pd.factorize(payments["user_id"])
    labels, scores = payments["is_fraud"].to_numpy(), payments["score"].to_numpy()
    random = np.random.default_rng(settings.seed)
    # The Bayesian bootstrap: no weight is zero, and a sample without a fraud has no PR-AUC.
    draws = [
        average_precision_score(labels, scores, sample_weight=weights[users])
        for weights in random.exponential(size=(RESAMPLES, len(names)))
    ]
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    found, frauds = ((scores >= threshold) & (labels == 1)).sum(), int(labels.sum())
    pr_auc = float(average_precision_score(labels, scores))
    recall = float(found / frauds) if frauds else np.nan
    return Outcome(len(labels), frauds, float(scores.sum()), recall, pr_auc, low, high)


def mature_payments(now: datetime) -> tuple[pd.DataFrame, int]:
    """Return the newest mature weeks with label and score, and the number of declined payments.

    Weeks are pooled until there are 100 frauds; with fewer, an interval is too wide.
    """
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet")
    weeks: list[pd.DataFrame] = []
    declined = frauds = 0
    while frauds < FEWEST_FRAUDS and len(weeks) < MOST_WEEKS:
        requests = read_requests(now - MATURITY - len(weeks) * WEEK)
        columns = raw[[*KEYS, "label", "is_approved"]].drop_duplicates(KEYS)
        week = requests.merge(columns, on=KEYS)
        if week.empty:  # the history, or the source, ends here
            break
        is_declined = week["is_approved"].eq(False).fillna(False).astype(bool)
        declined += int(is_declined.sum())
        is_fraud = week["label"].fillna(0).eq(1).astype(int)
        weeks.append(week[~is_declined].assign(is_fraud=is_fraud))
        frauds += int(weeks[-1]["is_fraud"].sum())
    pooled = pd.concat(weeks, ignore_index=True) if weeks else pd.DataFrame({"is_fraud": []})
    return pooled if pooled.empty else scored(pooled), declined


def scored(payments: pd.DataFrame) -> pd.DataFrame:
    """Return the payments with the model's score."""
    inputs = payments[read_model()["features"]].astype("float32").to_numpy()
    scores = joblib.load(settings.model_dir / MODEL).predict_proba(inputs)[:, 1]
    return payments.assign(score=scores)


def check_outcomes(tables: Tables, now: datetime) -> Iterator[Check]:
    """Compare the mature payments with the model's test rows; nothing without a model."""
    try:
        training = read_training()
    except UserError:  # without a usable model; its own check names the reason
        return
    threshold = read_model()["threshold"]
    usual = evaluate(scored(training[training["split"] == "test"]), threshold)
    payments, declined = mature_payments(now)
    if payments.empty:
        yield Check("prediction", "outcomes", None, "no mature payments", "critical")
        return
    yield compare(evaluate(payments, threshold), usual, declined)


def compare(outcome: Outcome, usual: Outcome, declined: int = 0) -> Check:
    """Fail where even the upper end of the PR-AUC lies below the lower end of the usual one."""
    passed = bool(outcome.high >= usual.low) if outcome.frauds >= FEWEST_FRAUDS else None
    message = f"{outcome}; {declined} declined are left out; in the test PR-AUC {usual.pr_auc:.3f}"
    return Check("prediction", "outcomes", passed, message, "critical")
