"""Leaks, compared like with like: the same rows and labels, one change each, the same payments."""

from datetime import timedelta

import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold, cross_val_predict

from benchmarks.studies.data import BATCH, STREAMING, Study, join, with_streaming
from benchmarks.studies.scoring import Estimate, Figures
from exercise_02_pit_training.generate_training_data import LABEL
from lab.learn import as_of, settings

FOLDS = 4
LEAKS = {"the payments before": timedelta(0), "+ the payment itself": timedelta(microseconds=-2)}


def payment_itself(study: Study) -> Figures:
    """Count the payment itself in its windows, offline; both models are served the same values."""
    names = study.names(STREAMING)
    served = with_streaming(study.test_inputs, study.test_rows, study.freshness)
    for row, age in LEAKS.items():
        inputs = with_streaming(study.inputs, study.rows, age)
        offline, model = study.of_test(inputs), study.fit(names, inputs, study.rows[LABEL])
        scores = model(served)
        differ = (offline[names].fillna(-1) != served[names].fillna(-1)).any(axis=1)
        yield "itself", row, "PR-AUC offline", study.scored.pr_auc(model(offline))
        yield "itself", row, "PR-AUC served", study.scored.pr_auc(scores)
        over_base_rate = scores.mean() / study.scored.labels.mean()
        yield "itself", row, "mean score served, over the base rate", over_base_rate
        yield "itself", row, "vectors that differ", differ.mean()


def leakage(study: Study) -> Figures:
    """Yield PR-AUC promised offline, and achieved on each payment's values after the training."""
    by_time = study.pr_auc[BATCH]
    yield from _promise("none: point in time, split by time", by_time, by_time)
    tables = {
        "features: latest values": join(study.rows, pd.Series(as_of(), index=study.rows.index)),
        "features: created time ignored": join(study.rows, known=False),
    }
    for leak, inputs in tables.items():
        model = study.fit(study.names(BATCH), inputs, study.rows[LABEL])
        found = (study.scored.pr_auc(model(t)) for t in (study.of_test(inputs), study.test_inputs))
        yield from _promise(leak, *found)
    folds = {
        "split: random folds": KFold(FOLDS, shuffle=True, random_state=settings.seed),
        "split: folds by user": GroupKFold(FOLDS),
    }
    for leak, validator in folds.items():
        yield from _promise(leak, _by_folds(study, validator), by_time)


def _promise(leak: str, promised: Estimate, got: Estimate) -> Figures:
    yield "leakage", leak, "promised", promised
    yield "leakage", leak, "got", got
    yield "leakage", leak, "paired difference", promised - got


def _by_folds(study: Study, folds: BaseCrossValidator) -> Estimate:
    """Score each test row by a model of the other folds, which see the test window, too."""
    usable = study.is_training | study.is_test
    rows = study.rows[usable]
    scores = cross_val_predict(
        clone(study.models[BATCH].trees),
        study.inputs.loc[usable, study.names(BATCH)].to_numpy(),
        rows[LABEL].astype(int),
        groups=rows["user_id"],
        cv=folds,
        method="predict_proba",
    )
    return study.scored.pr_auc(scores[study.is_test[usable], 1])
