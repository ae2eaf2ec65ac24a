"""Exercise 4, first part: train the fraud model, and save it in the form that serves.

Run it with `python -m exercise_04_serving.train_model`. It reads what exercise 2 exported: the
columns of X_train, in their order, are the model's inputs, and the manifest beside the model is
where the service reads that order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_score,
    recall_score,
)
from threadpoolctl import threadpool_limits

from exercise_04_serving.model_file import save_model
from lab.errors import UserError, run_script
from lab.figures import record
from lab.settings import settings

FEWEST_POSITIVES = 10
BRIEFS_THRESHOLD = 0.5

console = Console()


@dataclass(frozen=True)
class Split:
    """Rows (n, k) float32, as the service will send them, and labels (n,)."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]


def read_inputs(name: str) -> pd.DataFrame:
    """The inputs of a split; UserError before exercise 2 exported them."""
    return pd.read_parquet(_exported(f"X_{name}"))


def read_split(name: str, features: list[str]) -> Split:
    """A split with the given features in their order."""
    labels = pd.read_parquet(_exported(f"y_{name}")).iloc[:, 0]
    return Split(read_inputs(name)[features].to_numpy(np.float32), labels.to_numpy())


def _exported(name: str) -> Path:
    file = settings.data_dir / f"{name}.parquet"
    if not file.exists():
        raise UserError(f"there are no training data: {file} is missing", "lab run 2")
    return file


def usable_features() -> list[str]:
    """The columns of X_train in their order, without those that no row has a value for.

    The real data record no chargebacks, and a model cannot be trained on a column of nothing.
    """
    return list(read_inputs("train").dropna(axis="columns", how="all").columns)


def train(split: Split) -> HistGradientBoostingClassifier:
    """Boosted trees on the rows as they are.

    About one payment in seventy is fraud. Giving the few more weight would only make every
    probability too high; they stay true here, and the threshold is chosen instead.
    """
    positives = int(split.labels.sum())
    if positives < FEWEST_POSITIVES:
        raise UserError(
            f"{positives} positives among {len(split.labels)} rows are too few to train on",
            "lab data simulate, then lab run 2",
        )
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_leaf_nodes=15,
        l2_regularization=10,
        early_stopping=False,
        random_state=settings.seed,
    )
    # Two training threads on two busy cores wait for each other: ten times slower than one.
    with threadpool_limits(1):
        return model.fit(split.rows, split.labels)


def choose_threshold(model: HistGradientBoostingClassifier, split: Split) -> float:
    """The probability at which F1 is highest, halfway to the next lower one.

    Halfway, so that no row of this split lies on it: two runtimes that differ in the seventh digit
    then give the same verdict. A split without positives cannot tell, and the brief's 0.5 stays.
    """
    if not split.labels.any():
        return BRIEFS_THRESHOLD
    scores = model.predict_proba(split.rows)[:, 1]
    precision, recall, thresholds = precision_recall_curve(split.labels, scores)
    sums = precision + recall
    f1 = np.divide(2 * precision * recall, sums, out=np.zeros_like(sums), where=sums > 0)
    best = int(f1[:-1].argmax())
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)


def evaluate(
    model: HistGradientBoostingClassifier, threshold: float, split: Split
) -> dict[str, float]:
    """How the model does on rows that it has not seen; a PR-AUC equals `chance` by guessing."""
    scores = model.predict_proba(split.rows)[:, 1]
    verdicts = scores >= threshold
    pr_auc = average_precision_score(split.labels, scores) if split.labels.any() else 0.0
    return {
        "rows": len(split.labels),
        "chance": float(split.labels.mean()),
        "pr_auc": float(pr_auc),
        "precision": float(precision_score(split.labels, verdicts, zero_division=0)),
        "recall": float(recall_score(split.labels, verdicts, zero_division=0)),
    }


def main() -> None:
    features = usable_features()
    console.print(f"Exercise 4: a fraud model of {len(features)} features: {', '.join(features)}")
    training, validation, test = (read_split(n, features) for n in ("train", "val", "test"))
    console.print(f"  {len(training.rows):,} rows, {training.labels.mean():.2%} of them fraud")
    model = train(training)
    threshold = choose_threshold(model, validation)
    metrics = evaluate(model, threshold, test)
    save_model(
        settings.model_dir,
        model,
        features,
        threshold=threshold,
        metrics=metrics,
        proof=test.rows,
    )
    console.print(
        f"  test: PR-AUC {metrics['pr_auc']:.3f}, by chance {metrics['chance']:.3f}; from a "
        f"probability of {threshold:.3f} on, {metrics['precision']:.0%} of what is stopped is "
        f"fraud, and {metrics['recall']:.0%} of fraud is stopped"
    )
    console.print(
        f"  ONNX Runtime gives the same verdict on all {len(test.rows):,} test rows; "
        f"written: {settings.model_dir}"
    )
    record("model_pr_auc", metrics["pr_auc"], "")


if __name__ == "__main__":
    run_script(main)
