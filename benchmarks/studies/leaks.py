"""Leaks, compared like with like: the same rows and labels, one change each, the same payments."""

from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold

from benchmarks.studies.inputs import join, with_streaming
from benchmarks.studies.scoring import Estimate, Figures
from benchmarks.studies.study import BATCH, STREAMING, Study
from lab.learn import as_of, settings

FOLDS = 4
LEAKS = {"the payments before": timedelta(0), "+ the payment itself": timedelta(microseconds=-2)}


def payment_itself(study: Study, freshness: timedelta) -> Figures:
    """Count the payment itself in its windows, offline; both models are served the same values."""
    names = study.names(STREAMING)
    served = with_streaming(study.test_inputs, study.test_rows, freshness)
    for row, age in LEAKS.items():
        inputs = with_streaming(study.inputs, study.rows, age)
        offline, model = study.of_test(inputs), study.fit(names, inputs)
        scores = model(served)
        over_base_rate = scores.mean() / study.scored.labels.mean()
        yield "itself", row, "PR-AUC offline", study.scored.pr_auc(model(offline))
        yield "itself", row, "PR-AUC served", study.scored.pr_auc(scores)
        yield "itself", row, "mean score served, over the base rate", over_base_rate
        yield "itself", row, "vectors that differ", _differ(offline[names], served[names])


def _differ(left: pd.DataFrame, right: pd.DataFrame) -> float:
    """Return the share of rows with another value; missing values are equal."""
    return float((~((left == right) | (left.isna() & right.isna()))).any(axis=1).mean())


def leakage(study: Study) -> Figures:
    """Yield PR-AUC promised offline, and achieved on each payment's values after the training."""
    rows, names = study.rows, study.names(BATCH)
    by_time = study.pr_auc[BATCH]
    yield from _promise("none: point in time, split by time", by_time, by_time)
    tables = {
        "features: latest values": join(rows, pd.Series(as_of(), index=rows.index)),
        "features: created time ignored": join(rows, known=False),
    }
    for leak, inputs in tables.items():
        model = study.fit(names, inputs)
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
    scores, is_test = np.full(len(study.rows), np.nan), study.is_test
    usable = np.flatnonzero(study.is_training | is_test)
    users = study.rows["user_id"].to_numpy()[usable]
    for learned, held_out in folds.split(usable, groups=users):
        chosen = np.isin(np.arange(len(study.rows)), usable[learned])
        test = np.intersect1d(usable[held_out], np.flatnonzero(is_test))
        scores[test] = study.fit(study.names(BATCH), chosen=chosen)(study.inputs.loc[test])
    return study.scored.pr_auc(scores[is_test])
