"""The windows: which rows they hold, and what a feature's past tells."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.production.__main__ import monitor_feature_drift
from exercise_06_monitoring.production.drift import detect_drift, psi_history
from exercise_06_monitoring.production.drift.catalogue import View
from exercise_06_monitoring.production.drift.panel import read_panel
from exercise_06_monitoring.production.drift.windows import view_windows, window_rows
from lab.dataset.simulate import simulate
from lab.errors import UserError
from tests.exercise_06.monitored_shop import views_in
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

DAYS = 88


@pytest.fixture(scope="module")
def users(simulated: Path) -> View:
    return views_in(simulated)[0]


def test_an_entity_has_one_row_in_each_window_as_it_was_then(users: View) -> None:
    panel = read_panel(users, AS_OF, DAYS)
    table = pd.read_parquet(users.file).rename(columns={"user_id": "entity"})
    table["day"] = (AS_OF - table["event_timestamp"]) // pd.Timedelta(days=1)
    weekdays = []
    for window, days in zip(window_rows(panel, 0), [(32, 60), (0, 7)], strict=True):
        rows = panel.rows.iloc[window]
        assert rows["entity"].is_unique
        assert rows["day"].between(days[0], days[1] - 1).all()
        keys = ["entity", "day", *users.features]
        assert len(rows.merge(table[keys].drop_duplicates(), on=keys)) == len(rows)
        weekdays.append((rows["day"] % 7).value_counts(normalize=True))
    assert (weekdays[0] - weekdays[1]).abs().max() < 0.05


def test_every_entity_of_a_week_is_in_its_window(users: View) -> None:
    panel = read_panel(users, AS_OF, DAYS)
    rows = panel.rows.iloc[panel.week(0)]
    assert set(rows["entity"]) == set(panel.rows[panel.rows["day"] < 7]["entity"])


def test_what_had_not_arrived_is_not_seen(users: View, tmp_path: Path) -> None:
    table = pd.read_parquet(users.file)
    late = table["event_timestamp"] > AS_OF - timedelta(days=7)
    table.loc[late, "created_timestamp"] = AS_OF + timedelta(seconds=1)
    file = tmp_path / "late.parquet"
    table.to_parquet(file)
    windows = view_windows(replace(users, file=file), AS_OF)
    as_it_was = view_windows(users, AS_OF - timedelta(days=7))
    assert windows.past["transaction_count_7d"].ended == 7
    # Of the last minutes before, nothing had arrived either.
    assert len(windows.current) == pytest.approx(len(as_it_was.current), rel=0.01)


def test_a_corrected_value_counts_in_place_of_the_first(users: View, tmp_path: Path) -> None:
    table = pd.read_parquet(users.file)
    later = table["created_timestamp"] + pd.Timedelta(seconds=1)
    corrected = table.assign(total_amount_30d=-1.0, created_timestamp=later)
    for order in ([table, corrected], [corrected, table]):
        pd.concat(order).to_parquet(tmp_path / "corrected.parquet")
        panel = read_panel(replace(users, file=tmp_path / "corrected.parquet"), AS_OF, DAYS)
        settled = panel.rows["day"] > 0  # of the last hours not every correction has arrived
        assert (panel.rows["total_amount_30d"][settled] == -1).all()


def test_steps_are_counted_from_each_entitys_day_to_its_next(users: View) -> None:
    panel = read_panel(users, AS_OF, DAYS)
    week = panel.rows[panel.rows["day"] < 7].sort_values(["entity", "day"])
    values = week.groupby("entity")["total_amount_30d"]
    moved = (values.shift() != week["total_amount_30d"]) & (values.cumcount() > 0)
    steps = panel.steps("total_amount_30d", 0, 7)
    assert (steps.moved, steps.all) == (moved.sum(), (values.cumcount() > 0).sum())


def test_the_reference_begins_after_the_longest_window_has_filled(tmp_path: Path) -> None:
    history = timedelta(days=30 + 50)
    simulate(tmp_path, transactions=3_000, seed=7, as_of=AS_OF, history=history)
    panel = read_panel(views_in(tmp_path)[0], AS_OF, DAYS)
    reference, _ = window_rows(panel, 0)
    assert panel.rows.iloc[reference]["day"].max() < 46
    assert view_windows(views_in(tmp_path)[0], AS_OF).past["transaction_count_7d"].usual_psi == 0


def test_a_sample_of_many_entities_is_the_same_on_both_sides(
    users: View, point_settings: PointSettings
) -> None:
    point_settings(drift_entities=200)
    panel = read_panel(users, AS_OF, DAYS)
    reference, current = (set(panel.rows["entity"].iloc[rows]) for rows in window_rows(panel, 0))
    assert 100 < len(current) < 250
    assert len(reference & current) > 0.8 * len(reference)


def test_a_time_is_compared_by_its_age(users: View, tmp_path: Path) -> None:
    """A time of a last visit moves on by itself; how long ago it was does not."""
    table = pd.read_parquet(users.file)
    ago = pd.to_timedelta(np.random.default_rng(7).integers(0, 86_400, len(table)), unit="s")
    table["last_visit"] = table["event_timestamp"] - ago
    file = tmp_path / "visits.parquet"
    table.to_parquet(file)
    windows = view_windows(replace(users, file=file, features=("last_visit",)), AS_OF)
    for side in (windows.reference, windows.current):
        assert side["last_visit"].between(0, 86_400).all()


def test_named_features_come_back_in_their_order(shop: Path) -> None:
    asked = ["refund_rate", "transaction_count_7d", "last_product_id"]
    drifts = detect_drift(asked, AS_OF)
    assert [drift.feature for drift in drifts] == asked
    assert [drift.view for drift in drifts] == [
        "merchant_risk_features",
        "user_transaction_features",
        "user_preference_features",
    ]
    assert repr(detect_drift(asked, AS_OF)) == repr(drifts)  # NaN is not itself
    with pytest.raises(UserError, match="no feature view has refund_rat"):
        detect_drift(["refund_rat"], AS_OF)


def test_the_history_ends_with_todays_psi(shop: Path) -> None:
    history = psi_history("transaction_count_30d", 10, AS_OF)
    (drift,) = detect_drift(["transaction_count_30d"], AS_OF)
    assert list(history.index) == [AS_OF - timedelta(days=day) for day in range(9, -1, -1)]
    assert history.iloc[-1] == drift.psi
    assert len(psi_history("transaction_count_30d", 90, AS_OF)) == 30


def test_the_learners_function_tells_drift(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_parquet(shop / "user_stats.parquet")
    is_new = table["event_timestamp"] > AS_OF - timedelta(days=7)
    table.loc[is_new, "total_amount_30d"] *= 100
    table.to_parquet(shop / "user_stats.parquet")
    assert monitor_feature_drift("total_amount_30d")
    assert not monitor_feature_drift("transaction_count_7d")
    printed = capsys.readouterr().out
    assert "the values are distributed otherwise" in printed
    assert "no drift" in printed
