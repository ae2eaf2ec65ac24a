"""Leaks, compared like with like: the same rows and labels, one change each, the same payments."""

from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold

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
        over_base_rate = scores.mean() / study.scored.labels.mean()
        yield "itself", row, "PR-AUC offline", study.scored.pr_auc(model(offline))
        yield "itself", row, "PR-AUC served", study.scored.pr_auc(scores)
        yield "itself", row, "mean score served, over the base rate", over_base_rate
        yield "itself", row, "vectors that differ", differ.mean()


def leakage(study: Study) -> Figures:
    """Yield PR-AUC promised offline, and achieved on each payment's values after the training."""
    by_time, random = study.pr_auc[BATCH], KFold(FOLDS, shuffle=True, random_state=settings.seed)
    latest = join(study.rows, pd.Series(as_of(), index=study.rows.index))
    promises = {
        "none: point in time, split by time": (by_time, by_time),
        "features: latest values": _by_features(study, latest),
        "features: created time ignored": _by_features(study, join(study.rows, known=False)),
        "split: random folds": (_by_folds(study, random), by_time),
        "split: folds by user": (_by_folds(study, GroupKFold(FOLDS)), by_time),
    }
    for leak, (promised, got) in promises.items():
        yield "leakage", leak, "promised", promised
        yield "leakage", leak, "got", got
        yield "leakage", leak, "paired difference", promised - got


def _by_features(study: Study, inputs: pd.DataFrame) -> tuple[Estimate, Estimate]:
    """Return the PR-AUC on inputs of the training's kind, and on those known at the payment."""
    model = study.fit(study.names(BATCH), inputs, study.rows[LABEL])
    promised, got = model(study.of_test(inputs)), model(study.test_inputs)
    return study.scored.pr_auc(promised), study.scored.pr_auc(got)


def _by_folds(study: Study, folds: BaseCrossValidator) -> Estimate:
    """Score each test row by a model of the other folds, which see the test window, too."""
    rows, scores = np.flatnonzero(study.is_training | study.is_test), np.zeros(len(study.rows))
    for learned, scored in folds.split(rows, groups=study.rows["user_id"].iloc[rows]):
        model = study.fit(study.names(BATCH), study.inputs, study.rows[LABEL], rows[learned])
        scores[rows[scored]] = model(study.inputs.iloc[rows[scored]])
    return study.scored.pr_auc(scores[study.is_test])
