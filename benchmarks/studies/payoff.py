"""Value of each kind of feature, cost of late values, and PR-AUC by group of payments."""

from itertools import pairwise

import numpy as np
import pandas as pd

from benchmarks.studies.data import BATCH, STREAMING, TIME, Study, join, with_streaming
from benchmarks.studies.scoring import Estimate, Figures, Flags, Floats, ScoredRows
from exercise_02_pit_training.generate_training_data import AMOUNT, LABEL
from lab.dataset import manifest
from lab.learn import settings

AGES = ("1 s", "5 s", "10 s", "20 s", "30 s", "1 min", "2 min", "5 min", "1 h")
BATCH_AGES = ("0 h", "1 h", "24 h", "168 h")
MATURITIES_D = (7, 30, 60)
FALSE_ALARMS = 0.005


def sizes(study: Study) -> Figures:
    """Yield rows, thefts, and PR-AUC by chance."""
    column = f"seed {settings.seed}"
    payments = manifest.read(settings.data_dir).rows["transactions"]
    yield "sizes", "payments", column, payments
    yield "sizes", "training rows", column, study.is_training.sum()
    yield "sizes", "test rows", column, study.is_test.sum()
    yield "sizes", "thefts in the test rows", column, study.test_rows["theft"].nunique()
    yield "sizes", "PR-AUC by chance", column, study.scored.labels.mean()


def kinds(study: Study) -> Figures:
    """Yield PR-AUC by kind of feature, the steps between neighbours, and the gain by streaming."""
    found, column = study.pr_auc, f"seed {settings.seed}"
    for kind, estimate in found.items():
        yield "kinds", kind, column, estimate
    for before, kind in pairwise(found):
        yield "steps", kind, column, found[kind] - found[before]
    best = found[study.best_batch]
    yield "steps", "streaming minus best batch kind", column, found[STREAMING] - best
    yield "steps", "streaming over best batch kind", column, found[STREAMING] / best


def real(study: Study) -> Figures:
    """Yield PR-AUC on data without fraud."""
    yield "real", "a coupon is redeemed", "by chance", study.scored.labels.mean()
    batch, streaming = study.pr_auc[study.best_batch], study.pr_auc[STREAMING]
    yield from _pair("real", "a coupon is redeemed", batch, streaming)


def ages(study: Study) -> Figures:
    """Yield PR-AUC of one model by the age of its features, with the step from the fresher."""
    rows, inputs, model = study.test_rows, study.test_inputs, study.models[STREAMING]
    aged = {age: with_streaming(inputs, rows, pd.Timedelta(age)) for age in AGES}
    aged["dead"] = inputs.assign(**dict.fromkeys(study.streaming, np.nan))
    yield from _with_steps("ages", {age: study.scored.pr_auc(model(aged[age])) for age in aged})

    def joined_at(times: pd.Series) -> pd.DataFrame:
        return inputs.assign(**join(rows, times)[study.names(BATCH)])

    older = {age: joined_at(rows[TIME] - pd.Timedelta(age)) for age in BATCH_AGES}
    found = {age: study.scored.pr_auc(model(older[age])) for age in older}
    yield from _with_steps("batch_ages", found)
    last_run = rows[TIME].dt.ceil("h") - pd.Timedelta(hours=1)  # of the materialization
    served = with_streaming(joined_at(last_run), rows, study.freshness)
    found = {"without delay": study.pr_auc[STREAMING]}
    found["as served online"] = study.scored.pr_auc(model(served))
    yield from _with_steps("served", found)


def _with_steps(table: str, found: dict[str, Estimate]) -> Figures:
    for row, estimate in found.items():
        yield table, row, "PR-AUC", estimate
    for before, row in pairwise(found):
        yield table, row, "paired difference from the row above", found[row] - found[before]


def groups(study: Study) -> Figures:
    """Yield PR-AUC of parts of the test rows, and the share of stolen money that is stopped."""
    rows = study.test_rows
    seen = rows["user_id"].isin(study.rows.loc[study.is_training, "user_id"]).to_numpy()
    is_fraud, is_first = (rows[name].to_numpy(bool) for name in ("truth", "is_first"))
    parts = {
        "users seen in training": seen,
        "new users": ~seen,
        "honest, and first payments of thefts": ~is_fraud | is_first,
        "honest, and later payments of thefts": ~(is_fraud & is_first),
    }
    batch, streaming = study.scores[study.best_batch], study.scores[STREAMING]
    for part, chosen in parts.items():
        scored = study.scored.subset(chosen)
        pair = scored.pr_auc(batch[chosen]), scored.pr_auc(streaming[chosen])
        yield from _pair("groups", part, *pair)
    stopped = (_money_stopped(study, is_fraud, scores) for scores in (batch, streaming))
    yield from _pair("money", "stolen money stopped", *stopped)


def _pair(table: str, row: str, batch: Estimate, streaming: Estimate) -> Figures:
    yield table, row, "batch", batch
    yield table, row, "with streaming", streaming
    yield table, row, "paired difference", streaming - batch


def _money_stopped(study: Study, is_fraud: Flags, scores: Floats) -> Estimate:
    """Return the share of stolen money from the first flag of a theft on, which blocks the card."""
    flags = is_fraud & (scores >= np.quantile(scores[~is_fraud], 1 - FALSE_ALARMS))
    theft = study.test_rows["theft"].fillna(-1)  # honest payments, which have no flags
    stolen = study.test_rows[AMOUNT].to_numpy() * is_fraud
    stopped = stolen * pd.Series(flags).groupby(theft).cummax().to_numpy()
    return study.scored.estimate(lambda weights: float(weights @ stopped / (weights @ stolen)))


def maturity(study: Study) -> Figures:
    """Train on the labels known after some days; test against these, and against the truth."""
    rows, names = study.rows, study.names(STREAMING)
    truth = ScoredRows.of(study.test_rows, study.test_rows["truth"])
    for days in MATURITIES_D:
        is_known = rows["label_timestamp"] - rows[TIME] <= pd.Timedelta(days=days)
        labels = rows[LABEL].where(is_known, 0)
        known = ScoredRows.of(study.test_rows, labels[study.is_test])
        scores, row = study.fit(names, study.inputs, labels)(study.test_inputs), f"{days} days"
        yield "maturity", row, "frauds known", known.labels.sum() / truth.labels.sum()
        yield "maturity", row, "against these labels", known.pr_auc(scores)
        yield "maturity", row, "against the truth", truth.pr_auc(scores)
