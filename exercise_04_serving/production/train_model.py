"""Exercise 4, first part: train the fraud model, and save it in the form that serves.

Run it with `python -m exercise_04_serving.production.train_model`. Its inputs are the features of
the service `fraud_detection` in the registry and the amount; exercise 2 exported their values.
It prints what the streaming features are worth: the same model is trained without them, too.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import precision_score, recall_score
from threadpoolctl import threadpool_limits

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, UNKNOWN
from exercise_04_serving.production.evaluation import LabelledRows
from exercise_04_serving.production.model_file import AMOUNT, BRIEFS_THRESHOLD
from exercise_04_serving.production.save_model import save_model
from lab.errors import UserError, run_script
from lab.feature_store import ServiceDefinition, open_store, service_definition
from lab.figures import record
from lab.settings import settings

SERVICE = "fraud_detection"
LABEL = "is_fraud"
TRAINING_DATA = "training_data.parquet"
SPLITS = ("train", "val", "test")
FEWEST_POSITIVES = 10
UNKNOWN_SHARE = 0.1

console = Console()


@dataclass(frozen=True)
class Split:
    """Rows of one split: inputs (n, k) in the model's order, labels (n,), users and times."""

    inputs: pd.DataFrame
    labelled: LabelledRows

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.labelled.labels

    def with_inputs(self, names: list[str]) -> "Split":
        """The same rows with the named inputs."""
        return replace(self, inputs=self.inputs[names])


def read_splits(service: ServiceDefinition) -> dict[str, Split]:
    """Return the splits with the service's features in its order, and the amount.

    Raises UserError before exercise 2 exported them, or when they lack a feature of the service.
    """
    file = settings.data_dir / TRAINING_DATA
    if not file.exists():
        raise UserError(f"there are no training data: {file} is missing", "lab run 2")
    table = pd.read_parquet(file)
    inputs = [*service.types, AMOUNT]
    if missing := [name for name in inputs if name not in table]:
        raise UserError(
            f"{file} has no {', '.join(missing)}, which {service.name} has now", "lab run 2"
        )
    users = pd.Series(pd.factorize(table["user_id"])[0], index=table.index)
    splits = {}
    for name in SPLITS:
        rows = table[table["split"] == name]
        numbers, labels = users[rows.index].to_numpy(), rows[LABEL].to_numpy()
        labelled = LabelledRows(numbers, labels, rows["event_timestamp"])
        splits[name] = Split(rows[inputs].astype(np.float32), labelled)
    return splits


def usable_inputs(training: Split) -> list[str]:
    """Return the inputs that have a value in training; the others are named and left out.

    The real data record no chargebacks, and a model cannot learn from a column of nothing.
    """
    empty = training.inputs.columns[training.inputs.isna().all()]
    if len(empty):
        console.print(f"  left out, without any value: {', '.join(empty)}")
    return [name for name in training.inputs if name not in empty]


def with_unknown_streaming(inputs: pd.DataFrame, streaming: list[str]) -> pd.DataFrame:
    """Return the inputs with the whole streaming view missing in a tenth of the rows, seeded.

    The history has no gap of a stopped pipeline. Without these rows a model would take its missing
    values for a quiet user, and score every payment too low while the pipeline is down.
    """
    unknown = np.random.default_rng(settings.seed).random(len(inputs)) < UNKNOWN_SHARE
    return inputs.assign(**{n: inputs[n].mask(unknown, UNKNOWN) for n in streaming})


def train(inputs: pd.DataFrame, labels: NDArray[np.int64]) -> HistGradientBoostingClassifier:
    """Return boosted trees of the rows as they are; missing values stay missing.

    About one payment in forty is fraud. Giving the few more weight would only make every
    probability too high; they stay true here, and the threshold is chosen instead.
    """
    positives = int(labels.sum())
    if positives < FEWEST_POSITIVES:
        raise UserError(
            f"{positives} positives among {len(labels)} rows are too few to train on",
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
        return model.fit(inputs.to_numpy(np.float32), labels)


def probabilities(
    model: HistGradientBoostingClassifier, inputs: pd.DataFrame
) -> NDArray[np.float64]:
    """Return the probability of fraud of each row."""
    found: NDArray[np.float64] = model.predict_proba(inputs.to_numpy(np.float32))[:, 1]
    return found


def choose_threshold(scores: NDArray[np.float64]) -> float:
    """Return the probability that a share `alert_share` of validation payments reaches.

    How many alerts a day can be reviewed is known; the peak of F1 over a few dozen thefts is noise.
    It lies halfway between two scores, so that no row is on it: two runtimes that differ in the
    sixth digit then give the same verdict. Without two different scores the brief's 0.5 stays.
    """
    distinct, counts = np.unique(scores, return_counts=True)
    if len(distinct) < 2:
        return BRIEFS_THRESHOLD
    reaching = counts[::-1].cumsum()[::-1]
    allowed = max(settings.alert_share * len(scores), reaching[-1])
    lowest = int(np.argmax(reaching <= allowed))
    below = distinct[lowest - 1] if lowest else 0.0
    return float((distinct[lowest] + below) / 2)


def evaluate(scores: NDArray[np.float64], threshold: float, test: LabelledRows) -> dict[str, float]:
    """Return how scores do on rows that the model has not seen; by chance PR-AUC is `chance`."""
    verdicts = scores >= threshold
    return {
        "rows": len(test.labels),
        "chance": float(test.labels.mean()),
        "pr_auc": test.pr_auc(scores).value,
        "precision": float(precision_score(test.labels, verdicts, zero_division=0)),
        "recall": float(recall_score(test.labels, verdicts, zero_division=0)),
    }


def print_results(
    test: LabelledRows, scores: NDArray[np.float64], baseline: NDArray[np.float64], threshold: float
) -> None:
    """Print the results on the test rows, compared with the model without streaming features."""
    metrics = evaluate(scores, threshold, test)
    console.print(
        f"  PR-AUC on {metrics['rows']:,} test rows, 95 % intervals by users; chance is "
        f"{metrics['chance']:.3f}\n"
        f"    without streaming features  {test.pr_auc(baseline)}\n"
        f"    with streaming features     {test.pr_auc(scores)}\n"
        f"    gain                        {test.pr_auc_gain(scores, baseline)}",
        highlight=False,
    )
    console.print(
        f"  threshold {threshold:.3f}: {test.alerts_per_day(scores, threshold):.0f} alerts a day, "
        f"{metrics['precision']:.0%} of them fraud; {metrics['recall']:.0%} of fraud is found"
    )


def main() -> None:
    service = service_definition(open_store(), SERVICE)
    splits = read_splits(service)
    inputs = usable_inputs(splits["train"])
    training, validation, test = (splits[name].with_inputs(inputs) for name in splits)
    streaming = [name for name in service.views[STREAMING_VIEW] if name in inputs]
    console.print(f"Exercise 4: a fraud model of {len(inputs)} inputs: {', '.join(inputs)}")
    console.print(f"  {len(training.labels):,} rows, {training.labels.mean():.2%} of them fraud")

    learned_from = with_unknown_streaming(training.inputs, streaming)
    never_missing = list(learned_from.columns[learned_from.notna().all()])
    console.print(f"  never missing, so a default is not learned: {', '.join(never_missing)}")
    model = train(learned_from, training.labels)
    without = train(training.inputs.drop(columns=streaming), training.labels)
    threshold = choose_threshold(probabilities(model, validation.inputs))
    scores = probabilities(model, test.inputs)
    baseline = probabilities(without, test.inputs.drop(columns=streaming))
    print_results(test.labelled, scores, baseline, threshold)

    metrics = evaluate(scores, threshold, test.labelled)
    save_model(
        settings.model_dir,
        model,
        service,
        training.inputs,
        threshold=threshold,
        never_missing=never_missing,
        metrics=metrics,
        proof=test.inputs.to_numpy(np.float32),
    )
    console.print(
        f"  ONNX Runtime gives the same verdict on all {len(test.labels):,} test rows; "
        f"written: {settings.model_dir}"
    )
    record("model_pr_auc", metrics["pr_auc"], "")
    record("model_pr_auc_without_streaming", test.labelled.pr_auc(baseline).value, "")


if __name__ == "__main__":
    run_script(main)
