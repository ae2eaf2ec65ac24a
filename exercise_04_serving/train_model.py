"""Exercise 4, first part: train the fraud model on the export of exercise 2.

Run it with `python -m exercise_04_serving.train_model`. Its inputs are the features of the service
`fraud_detection` in the registry and the amount: what the API reads, in the same order.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, precision_score, recall_score

from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, Metadata, Model, save_model
from lab.learn import UserError, open_store, run_script, settings, utc_now

SERVICE, LABEL = "fraud_detection", "is_fraud"
ALERT_SHARE = 0.02  # of payments, as many as can be reviewed
UNKNOWN_SHARE = 0.1
TRAINING = "training.parquet"


def read_rows(inputs: list[str]) -> pd.DataFrame:
    """Return exercise 2's rows with split and label, inputs as float32; UserError without them."""
    file = settings.data_dir / "training_data.parquet"
    if not file.exists():
        raise UserError(f"there are no training data: {file} is missing", "lab run 2")
    rows = pd.read_parquet(file)
    if absent := [name for name in inputs if name not in rows]:
        raise UserError(f"{file} has no {', '.join(absent)}, which the service has", "lab run 2")
    return rows.astype(dict.fromkeys(inputs, np.float32))


def with_unknown_streaming(inputs: pd.DataFrame, streaming: list[str]) -> pd.DataFrame:
    """Return the inputs with the whole streaming view missing in a tenth of the rows.

    The history has no gap of a stopped pipeline. Without such rows a model takes missing values for
    a quiet user, and scores every payment too low while the pipeline is down.
    """
    unknown = np.random.default_rng(settings.seed).random(len(inputs)) < UNKNOWN_SHARE
    return inputs.assign(**{name: inputs[name].mask(unknown) for name in streaming})


def train(inputs: pd.DataFrame, labels: pd.Series) -> HistGradientBoostingClassifier:
    """Fit boosted trees. Classes are not weighted, so the probabilities stay true."""
    if labels.sum() < 10:
        problem = f"{labels.sum()} frauds among {len(labels)} rows are too few to train on"
        raise UserError(problem, "lab data simulate, then lab run 2")
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_leaf_nodes=15,
        l2_regularization=10,
        early_stopping=False,
        random_state=settings.seed,
    )
    return model.fit(inputs.to_numpy(), labels)


def print_quality(labels: pd.Series, scores: NDArray[np.float64], threshold: float) -> None:
    """Print the PR-AUC, and the alerts at the threshold."""
    alerts = scores >= threshold
    pr_auc, chance = average_precision_score(labels, scores), labels.mean()
    precision = precision_score(labels, alerts, zero_division=0)
    recall = recall_score(labels, alerts, zero_division=0)
    print(f"  PR-AUC on {len(labels):,} test rows: {pr_auc:.3f}; by chance it is {chance:.3f}")
    print(f"  threshold {threshold:.3f}: {alerts.mean():.1%} of payments raise an alert;")
    print(f"  {precision:.0%} of the alerts are fraud, {recall:.0%} of fraud is found")


def main() -> None:
    reader = FeatureReader(open_store(), SERVICE)
    rows = read_rows([*reader.features, AMOUNT])
    training, validation, test = (rows[rows["split"] == name] for name in ("train", "val", "test"))
    # Some data sets record no chargebacks: leave out what has no value
    features = [name for name in (*reader.features, AMOUNT) if training[name].notna().any()]
    streaming = [name for name in reader.streaming_features if name in features]
    print(f"Exercise 4: train on {len(training):,} payments, inputs: {', '.join(features)}")
    classifier = train(with_unknown_streaming(training[features], streaming), training[LABEL])
    of_validation, of_test = (
        classifier.predict_proba(part[features].to_numpy())[:, 1] for part in (validation, test)
    )
    threshold = float(np.quantile(of_validation, 1 - ALERT_SHARE, method="midpoint"))
    print_quality(test[LABEL], of_test, threshold)
    batch = [name for name in features if name not in streaming]
    of_batch = train(training[batch], training[LABEL]).predict_proba(test[batch].to_numpy())[:, 1]
    pr_auc = average_precision_score(test[LABEL], of_batch)
    print(f"  without streaming features the PR-AUC is {pr_auc:.3f}; intervals: docs/studies")
    metadata = Metadata(
        version=utc_now().isoformat(timespec="seconds"),
        service=SERVICE,
        service_version=reader.version,
        features=tuple(features),
        threshold=threshold,
    )
    save_model(settings.model_dir, Model(classifier, metadata))
    rows.to_parquet(settings.model_dir / TRAINING)  # a later export is not what it learned from
    print(f"  written: {settings.model_dir}")


if __name__ == "__main__":
    run_script(main)
