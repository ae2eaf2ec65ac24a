"""The studies in a small, seeded form; the documents have the written results."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold, KFold

from benchmarks.studies import data as study
from benchmarks.studies import measure, payoff, report, scoring
from benchmarks.studies.data import STREAMING, TIME, join, labelled_payments, with_streaming
from benchmarks.studies.scoring import as_lines, estimate, pr_auc
from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training import generate_training_data as exercise_2
from exercise_02_pit_training.splits import split_by_time
from exercise_05_streaming.windows import FEATURES
from lab.dataset.simulate import simulate
from lab.feature_store import quiet_feast
from lab.settings import settings
from tests.settings_in_force import settings_in_force

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
HINDSIGHT = timedelta(days=10)


def small_model(inputs: pd.DataFrame, labels: pd.Series) -> Any:
    """Use exercise 4's model with few trees."""
    return HistGradientBoostingClassifier(max_iter=15).fit(inputs.to_numpy(), labels)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a simulated shop with the definitions applied; no service is needed."""
    folder = tmp_path_factory.mktemp("studies")
    history = timedelta(days=80)
    simulate(folder, transactions=15_000, seed=3, as_of=AS_OF, history=history)
    with settings_in_force(data_dir=folder, stores="plugins", seed=3), quiet_feast():
        apply_definitions()
        yield folder


@pytest.fixture(scope="module")
def figures(data: Path) -> Iterator[pd.DataFrame]:
    """Yield all figures of the small shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train", small_model)
        patch.setattr(scoring, "RESAMPLES", 5)
        patch.setattr(measure, "HINDSIGHT", HINDSIGHT)
        patch.setattr(measure, "simulate", lambda *_, **__: None)  # the data are there
        yield measure.figures(1, payoff.ALL)


def value(figures: pd.DataFrame, table: str, row: str, column: str) -> float:
    """Return one figure."""
    places = figures.set_index(["table", "row", "column"])["value"]
    return float(places[table, row, column])


def test_a_small_study_fills_every_place_of_the_documents(figures: pd.DataFrame) -> None:
    text = "".join(file.read_text() for file in report.DOCUMENTS)
    places = {name for _, name, _ in report.PLACE.findall(text)}
    assert places - set(figures["table"]) == {"real"}
    intervals = figures.dropna(subset="low")
    assert set(intervals["by"]) == {"users", "merchants"}
    assert (intervals["low"] <= intervals["high"]).all()


def test_only_the_vectors_show_that_a_payment_counts_itself(figures: pd.DataFrame) -> None:
    differ = "vectors that differ"
    assert value(figures, "itself", "the payments before", differ) < 0.05
    assert value(figures, "itself", "+ the payment itself", differ) == 1


def test_streaming_features_of_an_age_equal_the_stores_history(data: Path) -> None:
    """The store's history at t is the windows of five seconds before."""
    rows = join(labelled_payments(HINDSIGHT).tail(2_000).reset_index(drop=True))
    names = [name for name in FEATURES if name in rows]
    then = rows.assign(**{TIME: rows[TIME] - settings.streaming_delay})
    computed = with_streaming(then, timedelta(0))[names].astype("float32")
    assert (computed["transaction_count_1h"] > 0).sum() > 50
    pd.testing.assert_frame_equal(computed, rows[names].astype("float32"), check_exact=True)


def test_an_age_hides_the_payments_that_came_within_it(data: Path) -> None:
    rows = labelled_payments(HINDSIGHT)
    rows = rows.assign(**dict.fromkeys(FEATURES, np.nan))  # also those that no service has
    now, then = (with_streaming(rows, timedelta(seconds=s)) for s in (0, 600))
    assert now["transaction_count_24h"].sum() > then["transaction_count_24h"].sum() > 0
    with_itself = with_streaming(rows, timedelta(microseconds=-2))
    assert (with_itself["transaction_count_5m"] >= 1).all()


def test_each_leak_is_caught_by_the_check_of_its_row(data: Path) -> None:
    rows = labelled_payments(HINDSIGHT)
    payments = rows[[*exercise_2.KEYS, exercise_2.AMOUNT]]
    joined, is_right = exercise_2.get_training_data, exercise_2.validate_pit_correctness
    assert is_right(joined(payments))
    assert not is_right(joined(payments, filter_by_created_timestamp=False))
    assert not is_right(joined(payments.assign(**{TIME: AS_OF})).assign(**{TIME: rows[TIME]}))
    part = split_by_time(rows[TIME], rows[TIME].notna(), exercise_2.LABEL_MATURITY)
    splits = [(part == "train", part == "test")]
    for folds in (KFold(payoff.FOLDS, shuffle=True, random_state=1), GroupKFold(payoff.FOLDS)):
        splits += list(folds.split(rows, groups=rows["user_id"]))
    gaps = [rows[TIME][scored].min() - rows[TIME][learned].max() for learned, scored in splits]
    assert [gap >= exercise_2.LABEL_MATURITY for gap in gaps] == [True] + [False] * 8


# ---- Scores ----------------------------------------------------------------------------------


def scored_rows(users: int = 40) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(1)
    number = 2_000
    rows = pd.DataFrame({"users": random.integers(0, users, number)})
    rows["merchants"] = random.integers(0, 300, number)
    rows["is_fraud"] = (random.random(number) < 0.1).astype(int)
    scores = np.round(rows["is_fraud"] + random.normal(0, 1, number), 1)  # with ties
    return rows, scores.to_numpy()


def described(figure: Any) -> pd.Series:
    """Return a figure's line in the results."""
    cell = pd.DataFrame({"column": {"row": figure}})
    return as_lines({"table": cell}).iloc[0]


def test_a_paired_difference_is_narrower_than_its_sides_and_none_to_itself() -> None:
    rows, scores = scored_rows()
    one, other = pr_auc(rows, scores), pr_auc(rows, scores + 0.01 * np.arange(2_000) / 2_000)
    assert (described(one - one)[["low", "high"]] == 0).all()
    assert (described(one / one)[["low", "high"]] == 1).all()
    widths = [described(figure)["high"] - described(figure)["low"] for figure in (one - other, one)]
    assert widths[0] < widths[1] / 5


def test_the_wider_interval_counts() -> None:
    """Labels that hang on few users, spread over many merchants."""
    rows, _ = scored_rows(users=10)
    labels = (rows["users"] < 3).to_numpy(int)
    share = estimate(rows, lambda weights: float(weights @ labels / weights.sum()))
    assert described(share)["by"] == "users"


# ---- Written results -------------------------------------------------------------------------


@pytest.mark.parametrize("document", report.DOCUMENTS, ids=lambda file: file.parent.name)
def test_figures_in_documents_are_the_written_results(document: Path) -> None:
    text = document.read_text()
    assert report.PLACE.search(text)
    assert report.fill(text, report.read_results()) == text


def test_the_readmes_sentence_has_the_written_results() -> None:
    results = report.read_results().drop_duplicates(["table", "row"]).set_index(["table", "row"])
    of = results["value"]
    *batch, streaming = of["kinds"]
    assert (
        f"On {of['sizes', 'payments']:,.0f} simulated payments PR-AUC is {max(batch):.2f} with "
        f"batch features only, {streaming:.2f} with streaming features five seconds old, and "
        f"{of['ages', 'dead']:.2f} when their pipeline is dead."
    ) in report.DOCUMENTS[0].read_text()


def test_the_written_results_are_as_required() -> None:
    results = report.read_results().set_index(["table", "row"]).sort_index()
    assert results.loc[("sizes", "thefts in the test rows"), "value"].min() >= 500
    assert results.loc["steps", "low"].min() > 0  # so the last kind without streaming is the best
    assert results.loc[("steps", "with streaming over without"), "value"].min() >= 1.2
    assert results.loc[("steps", STREAMING), "low"].min() > 0.10


def test_the_picture_is_drawn_light_and_dark(tmp_path: Path) -> None:
    report.draw(report.read_results(), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"payoff_light.svg", "payoff_dark.svg"}
    assert {file.name for file in report.STUDIES.glob("*.svg")} >= {"payoff_light.svg"}
