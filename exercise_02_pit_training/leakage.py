"""What leakage costs: one model, four ways to build its training data, each judged twice.

Run it with `python -m exercise_02_pit_training.leakage`. Offline, each arm is judged on its own
test rows, built its own way: what a team would report. Then its model is replayed on the payments
after the cut-off, with what the online store would have held at each moment: what the team would
get. The gap is the leak. Shuffled labels show what the same steps score when there is no signal.
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

from exercise_02_pit_training.arms import Arm, feature_tables, four_arms, labelled_rows
from exercise_02_pit_training.splits import SPLITS
from lab.errors import run_script
from lab.settings import settings

REPORT = settings.build_dir / "leakage.json"
FOLDS = 4
SHUFFLES = 5
RESAMPLES = 100
FEWEST_POSITIVES = 20

console = Console()


@dataclass(frozen=True)
class Scored:
    """Rows with their users, their labels, and a model's scores."""

    user: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]

    def pr_auc(self, weight_of_user: NDArray[np.int64] | None = None) -> float:
        weight = None if weight_of_user is None else weight_of_user[self.user]
        return float(average_precision_score(self.label, self.score, sample_weight=weight))

    def figures(self) -> dict[str, float]:
        """The scores; by chance PR-AUC is the share of positives, and ROC-AUC a half."""
        return {
            "rows": len(self.label),
            "chance": float(self.label.mean()),
            "pr_auc": self.pr_auc(),
            "roc_auc": float(roc_auc_score(self.label, self.score)),
        }


@dataclass(frozen=True)
class ArmResult:
    """What an arm promised offline, and what it kept as served.

    `noise` is two standard errors of the gap between both; `shuffled_offline` and `shuffled_served`
    are the PR-AUC of the same steps with shuffled labels, one for each shuffle.
    """

    arm: str
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
        """What can be said of the promise; a gap counts beyond noise, and beyond any shuffle's."""
        shuffled_gaps = np.subtract(self.shuffled_offline, self.shuffled_served)
        if self.served["pr_auc"] <= max(self.shuffled_served):
            return "no better than chance"
        if abs(self.gap) <= max(self.noise, *np.abs(shuffled_gaps)):
            return "kept"
        return "inflated" if self.gap > 0 else "too modest"


def compare_arms(
    rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> list[ArmResult]:
    """Each arm's result, for a model that is trained at `cutoff` and serves from then on.

    `rows` needs user_id, event_timestamp, label and label_timestamp. `tables` holds the model's
    inputs for each of them, as `feature_tables` gives them.
    """
    arms = track(four_arms(rows, cutoff), "  training", console=console, transient=True)
    # Two training threads on two busy cores wait for each other: ten times slower than one.
    with threadpool_limits(1):
        return [_result(arm, rows, tables, cutoff) for arm in arms]


def _result(
    arm: Arm, rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> ArmResult:
    offline, served = _judge_twice(arm, rows, tables, cutoff)
    random = np.random.default_rng(settings.seed)
    # Past and future are shuffled apart: each keeps its share of positives, and so its chance.
    labels = rows["label"].groupby(rows["event_timestamp"] >= cutoff)
    shuffled = [rows.assign(label=labels.transform(random.permutation)) for _ in range(SHUFFLES)]
    controls = [_judge_twice(arm, control, tables, cutoff) for control in shuffled]
    return ArmResult(
        arm=arm.name,
        train_rows=int(arm.train.sum()),
        offline=offline.figures(),
        served=served.figures(),
        noise=_noise_of_gap(offline, served),
        shuffled_offline=[control.pr_auc() for control, _ in controls],
        shuffled_served=[control.pr_auc() for _, control in controls],
    )


def _judge_twice(
    arm: Arm, rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cutoff: pd.Timestamp
) -> tuple[Scored, Scored]:
    """The arm's test rows with the arm's features; then the payments after `cutoff` as served."""
    user, label = pd.factorize(rows["user_id"])[0], rows["label"].to_numpy(dtype=np.int64)
    learned = arm.labels(rows)[arm.train].to_numpy(dtype=np.int64)
    # The model refuses an input without any value, as chargeback_rate is where no one records them.
    inputs = tables[arm.features][arm.train].dropna(axis="columns", how="all").columns
    features, held_online = tables[arm.features][inputs], tables["served"][inputs]
    model = _new_model().fit(features[arm.train], learned)

    def scored(chosen: pd.Series, score: NDArray[np.float64]) -> Scored:
        return Scored(user[chosen], label[chosen], score[:, 1])

    if arm.test is None:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.seed)
        training = features[arm.train], learned
        score = cross_val_predict(_new_model(), *training, cv=folds, method="predict_proba")
        offline = scored(arm.train, score)
    else:
        offline = scored(arm.test, model.predict_proba(features[arm.test]))
    future = rows["event_timestamp"] >= cutoff
    return offline, scored(future, model.predict_proba(held_online[future]))


def _new_model() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(early_stopping=False, random_state=settings.seed)


def _noise_of_gap(offline: Scored, served: Scored) -> float:
    """Two standard errors of the gap, by drawing users anew: a user's rows are not independent."""
    random = np.random.default_rng(settings.seed)
    users = max(offline.user.max(), served.user.max()) + 1
    draws = random.poisson(1, (RESAMPLES, users))
    return 2 * float(np.std([offline.pr_auc(draw) - served.pr_auc(draw) for draw in draws]))


def in_words(results: list[ArmResult]) -> list[str]:
    """What is seen, from the figures alone."""
    shuffled = [score for result in results for score in result.shuffled_served]
    lowest, highest = min(shuffled), max(shuffled)
    said = [
        f"Chance is a PR-AUC of {results[0].served['chance']:.3f}, the share of positives among "
        f"the replayed rows; models of shuffled labels got {lowest:.3f} to {highest:.3f}."
    ]
    for result in results:
        promised, got = result.offline["pr_auc"], result.served["pr_auc"]
        if result.verdict in ("inflated", "too modest"):
            said.append(
                f"{result.arm}: {promised:.3f} offline, {got:.3f} as served; the promise is off by "
                f"{result.gap:+.3f}, more than the noise of {result.noise:.3f}."
            )
    for verdict, meaning in {
        "kept": "offline and as served agree within the noise",
        "no better than chance": "as served no better than shuffled labels",
    }.items():
        if arms := [result.arm for result in results if result.verdict == verdict]:
            said.append(f"{'; '.join(arms)}: {meaning}.")
    return said


def as_table(results: list[ArmResult]) -> Table:
    """The four arms in the terminal."""
    table = Table(title="Promised offline, and got as served", box=box.SIMPLE, pad_edge=False)
    for heading in ("arm", "PR-AUC", "gap ± noise", "shuffled labels", "ROC-AUC"):
        table.add_column(heading)
    for result in results:
        offline, served, shuffled = result.offline, result.served, result.shuffled_served
        table.add_row(
            result.arm,
            f"{offline['pr_auc']:.3f} → {served['pr_auc']:.3f}",
            f"{result.gap:+.3f} ± {result.noise:.3f}",
            f"{np.mean(shuffled):.3f} ± {np.std(shuffled):.3f}",
            f"{offline['roc_auc']:.3f} → {served['roc_auc']:.3f}",
        )
    return table


def write_report(results: list[ArmResult], cutoff: pd.Timestamp) -> None:
    """Keep all figures in build/leakage.json."""
    arms = [{**asdict(r), "gap": r.gap, "verdict": r.verdict} for r in results]
    report = {"seed": settings.seed, "cutoff": cutoff.isoformat(), "arms": arms}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    beside = REPORT.with_suffix(".new")
    beside.write_text(json.dumps(report, indent=2) + "\n")
    beside.rename(REPORT)


def main() -> None:
    rows = labelled_rows()
    cutoff = rows["event_timestamp"].quantile(SPLITS["train"])
    console.print(
        f"Leakage: {len(rows):,} labelled rows; the model is trained at {cutoff:%d %B %H:%M}"
    )
    if _too_few_positives(rows, cutoff):
        console.print(
            f"  not compared: fewer than {FEWEST_POSITIVES} positives to train on, or to judge"
        )
        return
    results = compare_arms(rows, feature_tables(rows), cutoff)
    write_report(results, cutoff)
    console.print(as_table(results))
    for sentence in in_words(results):
        console.print(f"  {sentence}", highlight=False)


def _too_few_positives(rows: pd.DataFrame, cutoff: pd.Timestamp) -> bool:
    arm = four_arms(rows, cutoff)[-1]
    future = rows["event_timestamp"] >= cutoff
    learned = arm.labels(rows)[arm.train].sum()
    return bool(min(learned, rows["label"][future].sum()) < FEWEST_POSITIVES)


if __name__ == "__main__":
    run_script(main)
