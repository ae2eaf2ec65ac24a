"""The cost of leakage: one model, four training variants, each evaluated twice.

Run it with `lab run 2 --production leakage`. The offline score is on the variant's own test rows,
built like its training rows: what a team would report. The replay scores the same model on the
payments after the cut-off, with the values of the online store at each moment. The gap is the
leak. Shuffled labels show the score of the same steps without a signal.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from exercise_02_pit_training.production.variants import (
    Variant,
    feature_tables,
    labelled_rows,
    training_variants,
)
from exercise_02_pit_training.splits import SPLITS
from lab.errors import run_script
from lab.files import replacing
from lab.settings import settings

REPORT = settings.build_dir / "leakage.json"
FOLDS = 4
SHUFFLES = 5
RESAMPLES = 100
FEWEST_POSITIVES = 20

console = Console()


@dataclass(frozen=True)
class ScoredRows:
    """Rows with their users, their labels, and a model's scores."""

    user: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]

    def pr_auc(self, weight_of_user: NDArray[np.int64] | None = None) -> float:
        weight = None if weight_of_user is None else weight_of_user[self.user]
        return float(average_precision_score(self.label, self.score, sample_weight=weight))

    def figures(self) -> dict[str, float]:
        """Return the scores; by chance PR-AUC is the share of positives, and ROC-AUC a half."""
        return {
            "rows": len(self.label),
            "chance": float(self.label.mean()),
            "pr_auc": self.pr_auc(),
            "roc_auc": float(roc_auc_score(self.label, self.score)),
        }


@dataclass(frozen=True)
class VariantResult:
    """Scores of a training variant, offline and as served.

    `noise` is two standard errors of the gap between both; `shuffled_offline` and `shuffled_served`
    are the PR-AUC of the same steps with shuffled labels, one for each shuffle.
    """

    variant: str
    train_rows: int
    offline: dict[str, float]
    served: dict[str, float]
    noise: float
    shuffled_offline: list[float]
    shuffled_served: list[float]

    @property
    def gap(self) -> float:
        return self.offline["pr_auc"] - self.served["pr_auc"]

    @property
    def verdict(self) -> str:
        """Return the conclusion; a gap counts above the noise and the gaps of all shuffles."""
        shuffled_gaps = np.subtract(self.shuffled_offline, self.shuffled_served)
        if self.served["pr_auc"] <= max(self.shuffled_served):
            return "no better than chance"
        if abs(self.gap) <= max(self.noise, *np.abs(shuffled_gaps)):
            return "confirmed"
        return "inflated" if self.gap > 0 else "too modest"


def compare_variants(
    rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> list[VariantResult]:
    """Return each variant's result, for a model trained at `cutoff` that serves from then on.

    `rows` needs user_id, event_timestamp, label and label_timestamp. `tables` holds the model's
    inputs for each of them, as `feature_tables` gives them.
    """
    variants = track(training_variants(rows, cutoff), "  training", console=console, transient=True)
    # Two training threads on two busy cores wait for each other: ten times slower than one.
    with threadpool_limits(1):
        return [_result(variant, rows, tables, cutoff) for variant in variants]


def _result(
    variant: Variant, rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> VariantResult:
    offline, served = _scores(variant, rows, tables, cutoff)
    random = np.random.default_rng(settings.seed)
    # Past and future are shuffled apart: each keeps its share of positives, and so its chance.
    labels = rows["label"].groupby(rows["event_timestamp"] >= cutoff)
    shuffled = [rows.assign(label=labels.transform(random.permutation)) for _ in range(SHUFFLES)]
    controls = [_scores(variant, control, tables, cutoff) for control in shuffled]
    return VariantResult(
        variant=variant.name,
        train_rows=int(variant.train.sum()),
        offline=offline.figures(),
        served=served.figures(),
        noise=_noise_of_gap(offline, served),
        shuffled_offline=[control.pr_auc() for control, _ in controls],
        shuffled_served=[control.pr_auc() for _, control in controls],
    )


def _scores(
    variant: Variant, rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> tuple[ScoredRows, ScoredRows]:
    """Return the scored test rows of a variant, and the payments after `cutoff` as served."""
    user, label = pd.factorize(rows["user_id"])[0], rows["label"].to_numpy(dtype=np.int64)
    learned = variant.labels(rows)[variant.train].to_numpy(dtype=np.int64)
    # The model refuses an input without any value, as chargeback_rate is where no one records them.
    inputs = tables[variant.features][variant.train].dropna(axis="columns", how="all").columns
    features, online_features = tables[variant.features][inputs], tables["served"][inputs]
    model = _new_model().fit(features[variant.train], learned)

    def scored(chosen: pd.Series, score: NDArray[np.float64]) -> ScoredRows:
        return ScoredRows(user[chosen], label[chosen], score[:, 1])

    if variant.test is None:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.seed)
        training = features[variant.train], learned
        score = cross_val_predict(_new_model(), *training, cv=folds, method="predict_proba")
        offline = scored(variant.train, score)
    else:
        offline = scored(variant.test, model.predict_proba(features[variant.test]))
    future = rows["event_timestamp"] >= cutoff
    return offline, scored(future, model.predict_proba(online_features[future]))


def _new_model() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(early_stopping=False, random_state=settings.seed)


def _noise_of_gap(offline: ScoredRows, served: ScoredRows) -> float:
    """Return two standard errors of the gap; users are resampled: their rows are dependent."""
    random = np.random.default_rng(settings.seed)
    users = max(offline.user.max(), served.user.max()) + 1
    draws = random.poisson(1, (RESAMPLES, users))
    return 2 * float(np.std([offline.pr_auc(draw) - served.pr_auc(draw) for draw in draws]))


def as_table(results: list[VariantResult]) -> Table:
    """Return the scores of the variants for the terminal, offline → as served."""
    title = f"Offline → as served; by chance PR-AUC is {results[0].served['chance']:.3f}"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    for heading in ("variant", "PR-AUC", "gap ± noise", "shuffled labels", "ROC-AUC", "verdict"):
        table.add_column(heading)
    for result in results:
        offline, served, shuffled = result.offline, result.served, result.shuffled_served
        table.add_row(
            result.variant,
            f"{offline['pr_auc']:.3f} → {served['pr_auc']:.3f}",
            f"{result.gap:+.3f} ± {result.noise:.3f}",
            f"{np.mean(shuffled):.3f} ± {np.std(shuffled):.3f}",
            f"{offline['roc_auc']:.3f} → {served['roc_auc']:.3f}",
            result.verdict,
        )
    return table


def write_report(results: list[VariantResult], cutoff: pd.Timestamp) -> None:
    """Write all figures to build/leakage.json."""
    variants = [{**asdict(r), "gap": r.gap, "verdict": r.verdict} for r in results]
    report = {"seed": settings.seed, "cutoff": cutoff.isoformat(), "variants": variants}
    with replacing(REPORT) as temp_path:
        temp_path.write_text(json.dumps(report, indent=2) + "\n")


def main() -> None:
    rows = labelled_rows()
    cutoff = rows["event_timestamp"].quantile(SPLITS["train"])
    console.print(
        f"Leakage: {len(rows):,} labelled rows; the model is trained at {cutoff:%d %B %H:%M}"
    )
    if _too_few_positives(rows, cutoff):
        console.print(
            f"  not compared: fewer than {FEWEST_POSITIVES} positives to train on, or to test on"
        )
        return
    results = compare_variants(rows, feature_tables(rows), cutoff)
    write_report(results, cutoff)
    console.print(as_table(results))


def _too_few_positives(rows: pd.DataFrame, cutoff: pd.Timestamp) -> bool:
    variant = training_variants(rows, cutoff)[-1]
    future = rows["event_timestamp"] >= cutoff
    learned = variant.labels(rows)[variant.train].sum()
    return bool(min(learned, rows["label"][future].sum()) < FEWEST_POSITIVES)


if __name__ == "__main__":
    run_script(main)
