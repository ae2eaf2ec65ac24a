"""Evaluates the fraud model with intervals by users: a user's payments are not independent.

python -m exercise_04_serving.production.evaluation     # after train_model
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, load_model
from exercise_04_serving.train_model import LABEL, SERVICE, read_rows, train
from lab.learn import open_store, run_script, settings

RESAMPLES = 200
FEWEST_USERS = 30

Weights = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN where too few users carry it."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if np.isnan(self.low):
            return f"{self.value:{spec}} (too few users for an interval)"
        return f"{self.value:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a split: user numbers, labels and times, each (n,)."""

    users: NDArray[np.int64]
    labels: NDArray[np.int64]
    times: pd.Series

    @property
    def days(self) -> float:
        """Length of the split in days."""
        return float((self.times.max() - self.times.min()) / timedelta(days=1))

    def interval(self, statistic: Callable[[Weights], float]) -> Interval:
        """Return a statistic of weighted rows with its interval, by resampling users.

        The bootstrap weighs each user by a Poisson number of mean 1, the same for all statistics.
        """
        value = statistic(np.ones_like(self.labels))
        if len(np.unique(self.users[self.labels == 1])) < FEWEST_USERS:
            return Interval(value, np.nan, np.nan)
        random = np.random.default_rng(settings.seed)
        weights = random.poisson(1, (RESAMPLES, self.users.max() + 1))
        draws = [statistic(weight[self.users]) for weight in weights]
        low, high = np.quantile(draws, [0.025, 0.975])
        return Interval(value, float(low), float(high))

    def pr_auc(self, scores: NDArray[np.float64]) -> Interval:
        """PR-AUC; by chance it is the share of positives. 0 without a positive."""
        if not self.labels.any():
            return Interval(0.0, np.nan, np.nan)
        return self.interval(lambda weights: self._weighted_pr_auc(scores, weights))

    def pr_auc_gain(self, scores: NDArray[np.float64], baseline: NDArray[np.float64]) -> Interval:
        """Difference of two models' PR-AUC, paired: both see the same drawn users."""
        return self.interval(
            lambda weights: (
                self._weighted_pr_auc(scores, weights) - self._weighted_pr_auc(baseline, weights)
            )
        )

    def alerts_per_day(self, scores: NDArray[np.float64], threshold: float) -> Interval:
        """Payments a day whose score reaches the threshold."""
        is_alert = scores >= threshold
        return self.interval(lambda weights: float(weights[is_alert].sum() / self.days))

    def _weighted_pr_auc(self, scores: NDArray[np.float64], weights: Weights) -> float:
        return float(average_precision_score(self.labels, scores, sample_weight=weights))


def labelled_rows(rows: pd.DataFrame) -> LabelledRows:
    """Return users, labels and times of rows of exercise 2."""
    users = pd.factorize(rows["user_id"])[0].astype(np.int64)
    return LabelledRows(users, rows[LABEL].to_numpy(), rows["event_timestamp"])


def main() -> None:
    reader = FeatureReader(open_store(), SERVICE)
    model = load_model(settings.model_dir, reader)
    rows = read_rows([*reader.features, AMOUNT])
    training, test = (rows[rows["split"] == name] for name in ("train", "test"))
    without = [n for n in model.metadata.features if n not in reader.streaming_features]
    baseline = train(training[without], training[LABEL])
    baseline_scores = baseline.predict_proba(test[without].to_numpy())[:, 1]
    scores, labelled = model.score(test[[*model.metadata.features]].to_numpy()), labelled_rows(test)
    print(f"PR-AUC on {len(test):,} test rows, 95 % intervals by users")
    print(f"  without streaming features  {labelled.pr_auc(baseline_scores)}")
    print(f"  with streaming features     {labelled.pr_auc(scores)}")
    print(f"  gain                        {labelled.pr_auc_gain(scores, baseline_scores)}")
    alerts = labelled.alerts_per_day(scores, model.metadata.threshold)
    print(f"  alerts a day at the threshold of {model.metadata.threshold:.3f}: {alerts:.0f}")


if __name__ == "__main__":
    run_script(main)
