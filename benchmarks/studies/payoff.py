"""The studies: kinds of features, age of features, groups of payments, labels, and leaks.

Each returns the tables of docs/studies. Within a table all else is equal: rows, labels, and the
payments that are scored.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
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


def kinds(study: Study) -> dict[str, pd.DataFrame]:
    """Return the sizes, PR-AUC by kind of feature, and the steps between kinds."""
    sizes = {
        "payments": manifest.read(settings.data_dir).rows["transactions"],
        "training rows": len(study.training),
        "test rows": len(study.test),
        "thefts in the test rows": study.test["theft"].nunique(),
        "PR-AUC by chance": study.test[LABEL].mean(),
    }
    best, streaming = study.pr_auc[study.best_batch], study.pr_auc[STREAMING]
    gains = {
        "streaming minus best batch kind": streaming - best,
        "streaming over best batch kind": streaming / best,
    }
    steps = pd.concat([study.pr_auc.diff()[1:], pd.Series(gains)])
    tables = {"sizes": pd.Series(sizes), "kinds": study.pr_auc, "steps": steps}
    return {name: figures.to_frame(f"seed {settings.seed}") for name, figures in tables.items()}


def real(study: Study) -> dict[str, pd.DataFrame]:
    """Return PR-AUC on data without fraud."""
    chance = {"by chance": study.test[LABEL].mean()}
    row = chance | _compare(study, partial(pr_auc, study.test))
    return {"real": pd.DataFrame({"a coupon is redeemed": row}).T}


def _compare(study: Study, statistic: Callable[[Floats], Estimate]) -> dict[str, Estimate]:
    """Return a statistic of the scores without and with streaming features."""
    batch, streaming = (statistic(study.scores[kind]) for kind in (study.best_batch, STREAMING))
    return {"batch": batch, "with streaming": streaming, "paired difference": streaming - batch}


def ages(study: Study) -> dict[str, pd.DataFrame]:
    """Return PR-AUC of one model by the age of its features, and as they were served."""
    test, model = study.test, study.models[STREAMING]
    streaming = test[test.columns.intersection(FEATURES)]
    aged = {age: with_streaming(test, pd.Timedelta(age)) for age in AGES}
    aged["dead"] = test.assign(**dict.fromkeys(streaming, np.nan))
    times = {age: test[TIME] - pd.Timedelta(age) for age in BATCH_AGES}
    older = {age: join(test, time).assign(**streaming) for age, time in times.items()}
    last_run = test[TIME].dt.ceil("h") - pd.Timedelta(hours=1)  # of the materialization
    served = with_streaming(join(test, last_run), measured_freshness())

    def with_steps(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        found = pd.Series({name: pr_auc(test, model(changed)) for name, changed in rows.items()})
        return pd.DataFrame({"PR-AUC": found, "paired difference from the row above": found.diff()})

    return {
        "ages": with_steps(aged),
        "batch_ages": with_steps(older),
        "served": with_steps({"without delay": test, "as served online": served}),
    }


def groups(study: Study) -> dict[str, pd.DataFrame]:
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

    def pr_auc_of(part: pd.Series, scores: Floats) -> Estimate:
        return pr_auc(test[part], scores[part])

    table = {name: _compare(study, partial(pr_auc_of, part)) for name, part in parts.items()}
    money = {"stolen money stopped": _compare(study, partial(_money_stopped, test))}
    return {"groups": pd.DataFrame(table).T, "money": pd.DataFrame(money).T}


def _money_stopped(test: pd.DataFrame, scores: Floats) -> Estimate:
    """Return the share of stolen money from the first flag of a theft on, which blocks the card."""
    is_fraud = test["truth"].astype(bool)
    flags = is_fraud & (scores >= np.quantile(scores[~is_fraud], 1 - FALSE_ALARMS))
    theft = test["theft"].fillna(-1)  # honest payments, which have no flags
    stolen = test[AMOUNT] * is_fraud
    stopped = stolen * flags.groupby(theft).cummax()
    return estimate(test, lambda weights: weights @ stopped / (weights @ stolen))


def maturity(study: Study) -> dict[str, pd.DataFrame]:
    """Train on the labels known after some days; test against these, and against the truth."""
    table = {}
    for days in MATURITIES_D:
        training, test = (_with_labels_of(rows, days) for rows in (study.training, study.test))
        scores = study.fit(STREAMING, training)(test)
        table[f"{days} days"] = {
            "frauds known": test[LABEL].sum() / test["truth"].sum(),
            "against these labels": pr_auc(test, scores),
            "against the truth": pr_auc(test, scores, "truth"),
        }
    return {"maturity": pd.DataFrame(table).T}


def _with_labels_of(rows: pd.DataFrame, days: int) -> pd.DataFrame:
    is_known = rows["label_timestamp"] - rows[TIME] <= pd.Timedelta(days=days)
    return rows.assign(**{LABEL: rows[LABEL].where(is_known, 0)})


def payment_itself(study: Study) -> dict[str, pd.DataFrame]:
    """Count the payment itself in its windows, offline; both models are served the same values."""
    test, names, table = study.test, study.names[STREAMING], {}
    served = with_streaming(test, measured_freshness())
    for row, age_us in {"the payments before": 0, "+ the payment itself": -2}.items():
        age = timedelta(microseconds=age_us)
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


def leakage(study: Study) -> dict[str, pd.DataFrame]:
    """Return PR-AUC promised offline, and achieved on each payment's values after the training."""
    by_time, random = study.scores[BATCH], KFold(FOLDS, shuffle=True, random_state=settings.seed)
    scores = {
        "none: point in time, split by time": (by_time, by_time),
        "features: latest values": _by_join(study, at=as_of()),
        "features: created time ignored": _by_join(study, known=False),
        "split: random folds": (_by_folds(study, random), by_time),
        "split: folds by user": (_by_folds(study, GroupKFold(FOLDS)), by_time),
    }
    promised, got = (
        pd.Series({leak: pr_auc(study.test, pair[side]) for leak, pair in scores.items()})
        for side in (0, 1)
    )
    table = {"promised": promised, "got": got, "paired difference": promised - got}
    return {"leakage": pd.DataFrame(table)}


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
