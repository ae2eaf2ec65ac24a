"""The studies: kinds of features, age of features, groups of payments, labels, and leaks.

Each returns the tables of docs/studies. Within a table all else is equal: rows, labels, and the
payments that are scored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold

from benchmarks.studies.data import BATCH, STREAMING, TIME, Study, join, with_streaming
from benchmarks.studies.report import measured_freshness
from benchmarks.studies.scoring import Estimate, Floats, estimate, pr_auc
from exercise_02_pit_training.generate_training_data import AMOUNT, LABEL
from exercise_05_streaming.windows import FEATURES
from lab.dataset import manifest
from lab.learn import as_of, settings

AGES = ("1 s", "5 s", "10 s", "20 s", "30 s", "1 min", "2 min", "5 min", "1 h")
BATCH_AGES = ("0 h", "1 h", "24 h", "168 h")
MATURITIES_D = (7, 30, 60)
FALSE_ALARMS = 0.005
FOLDS = 4
BY_TIMES = "times: a test row must be 7 days after all training rows"

Tables = dict[str, pd.DataFrame]
Studies = Sequence[Callable[[Study], Tables]]
Parts = Mapping[str, pd.Series | slice]
Statistic = Callable[[pd.DataFrame, Floats], Estimate]


def kinds(study: Study) -> Tables:
    """Return the sizes, PR-AUC by kind of feature, and the steps between kinds."""
    sizes = {
        "payments": manifest.read(settings.data_dir).rows["transactions"],
        "training rows": len(study.training),
        "test rows": len(study.test),
        "thefts in the test rows": study.test["theft"].nunique(),
        "PR-AUC by chance": study.test[LABEL].mean(),
    }
    found = pd.Series({kind: pr_auc(study.test, of) for kind, of in study.scores.items()})
    ratio = pd.Series({"with streaming over without": found[STREAMING] / found[BATCH]})
    steps = pd.concat([found.diff()[1:], ratio])
    tables = {"sizes": pd.Series(sizes), "kinds": found, "steps": steps}
    return {name: figures.to_frame(f"seed {settings.seed}") for name, figures in tables.items()}


def real(study: Study) -> Tables:
    """Return PR-AUC on data without fraud."""
    table = _compare(study, {"a coupon is redeemed": slice(None)})
    table.insert(0, "by chance", study.test[LABEL].mean())
    return {"real": table}


def _compare(study: Study, parts: Parts, statistic: Statistic = pr_auc) -> pd.DataFrame:
    """Return a statistic of parts of the test rows, without and with streaming features."""
    batch, streaming = (
        pd.Series({row: statistic(study.test[part], of[part]) for row, part in parts.items()})
        for of in (study.scores[BATCH], study.scores[STREAMING])
    )
    table = {"batch": batch, "with streaming": streaming, "paired difference": streaming - batch}
    return pd.DataFrame(table)


def ages(study: Study) -> Tables:
    """Return PR-AUC of one model by the age of its features, and as they were served."""
    test, model = study.test, study.models[STREAMING]
    streaming = test[test.columns.intersection(FEATURES)]
    aged = {age: with_streaming(test, age) for age in AGES}
    aged["dead"] = test.assign(**dict.fromkeys(streaming, np.nan))
    times = {age: test[TIME] - pd.Timedelta(age) for age in BATCH_AGES}
    older = {age: join(test, time).assign(**streaming) for age, time in times.items()}
    last_run = test[TIME].dt.ceil("h") - pd.Timedelta(hours=1)  # of the materialization
    served = with_streaming(join(test, last_run), measured_freshness())
    compared = {"without delay": test, "as served online": served}
    tables = {}
    for name, changed in (("ages", aged), ("batch_ages", older), ("served", compared)):
        found = pd.Series({row: pr_auc(test, model(rows)) for row, rows in changed.items()})
        steps = {"PR-AUC": found, "paired difference from the row above": found.diff()}
        tables[name] = pd.DataFrame(steps)
    return tables


def groups(study: Study) -> Tables:
    """Return PR-AUC of parts of the test rows, and the share of stolen money that is stopped."""
    test = study.test
    seen = test["user_id"].isin(study.training["user_id"])
    is_fraud, is_first = test["truth"].astype(bool), test["is_first"]
    parts = {
        "users seen in training": seen,
        "new users": ~seen,
        "honest, and first payments of thefts": ~is_fraud | is_first,
        "honest, and later payments of thefts": ~(is_fraud & is_first),
    }
    money = _compare(study, {"stolen money stopped": slice(None)}, _money_stopped)
    return {"groups": _compare(study, parts), "money": money}


def _money_stopped(test: pd.DataFrame, scores: Floats) -> Estimate:
    """Return the share of stolen money from the first flag of a theft on, which blocks the card."""
    is_fraud = test["truth"].astype(bool)
    flags = is_fraud & (scores >= np.quantile(scores[~is_fraud], 1 - FALSE_ALARMS))
    theft = test["theft"].fillna(-1)  # honest payments, which have no flags
    stolen = test[AMOUNT] * is_fraud
    stopped = stolen * flags.groupby(theft).cummax()
    return estimate(test, lambda weights: weights @ stopped / (weights @ stolen))


def maturity(study: Study) -> Tables:
    """Train on the labels known after some days; test against these, and against the truth."""
    table = {}
    for days in MATURITIES_D:
        training, test = (
            rows.assign(**{LABEL: rows[LABEL].where(rows["label_days"] <= days, 0)})
            for rows in (study.training, study.test)
        )
        scores = study.fit(STREAMING, training)(test)
        table[f"{days} days"] = {
            "frauds known": test[LABEL].sum() / test["truth"].sum(),
            "against these labels": pr_auc(test, scores),
            "against the truth": pr_auc(test, scores, "truth"),
        }
    return {"maturity": pd.DataFrame(table).T}


def payment_itself(study: Study) -> Tables:
    """Count the payment itself in its windows, offline; both models are served the same values."""
    test, names, table = study.test, study.names[STREAMING], {}
    served = with_streaming(test, measured_freshness())
    for row, age in {"the payments before": "0 us", "+ the payment itself": "-2 us"}.items():
        training, offline = (with_streaming(rows, age) for rows in (study.training, test))
        model = study.fit(STREAMING, training)
        differ = (offline[names].fillna(-1) != served[names].fillna(-1)).any(axis=1)
        table[row] = {
            "PR-AUC offline": pr_auc(test, model(offline)),
            "PR-AUC served": pr_auc(test, model(served)),
            "mean score served, over the base rate": model(served).mean() / test[LABEL].mean(),
            "vectors that differ": differ.mean(),
        }
    return {"itself": pd.DataFrame(table).T}


def leakage(study: Study) -> Tables:
    """Return PR-AUC promised offline, and achieved on each payment's values after the training."""
    by_time, random = study.scores[BATCH], KFold(FOLDS, shuffle=True, random_state=settings.seed)
    latest, uncreated = _by_join(study, at=as_of()), _by_join(study, known=False)
    scores = {
        "none: point in time, split by time": (by_time, by_time, "no leak"),
        "features: latest values": (*latest, "values recomputed from raw events (2.3, 2.4)"),
        "features: created time ignored": (*uncreated, "the same, with late rows planted (2.4)"),
        "split: random folds": (_by_folds(study, random), by_time, BY_TIMES),
        "split: folds by user": (_by_folds(study, GroupKFold(FOLDS)), by_time, BY_TIMES),
    }
    table = {}
    for leak, (offline, online, check) in scores.items():
        promised, got = pr_auc(study.test, offline), pr_auc(study.test, online)
        table[leak] = [promised, got, promised - got, check]
    names = ["promised", "got", "paired difference", "caught by"]
    return {"leakage": pd.DataFrame(table, names).T}


def _by_join(study: Study, **leak: Any) -> tuple[Floats, Floats]:
    """Train on another join; score test rows joined alike, and true test rows."""
    model = study.fit(BATCH, join(study.training, **leak))
    return model(join(study.test, **leak)), model(study.test)


def _by_folds(study: Study, folds: BaseCrossValidator) -> Floats:
    """Score each test row by a model of the other folds, which see the test window, too."""
    rows = pd.concat([study.training, study.test])
    scores = np.zeros(len(rows))
    for learned, scored in folds.split(rows, groups=rows["user_id"]):
        scores[scored] = study.fit(BATCH, rows.iloc[learned])(rows.iloc[scored])
    return scores[-len(study.test) :]


ALL: Studies = (kinds, ages, groups, maturity, payment_itself, leakage)
