"""Limits from resampled weeks and entities, slow growth, rare counts, references, identifiers."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import calculate_psi
from exercise_06_monitoring.production import drift_since, model_version
from exercise_06_monitoring.production.alerted_days import record_alerted_day
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.production.drift_limits import (
    SHARE,
    check_feature,
    check_growth,
    check_psi,
    is_lifetime_count,
)
from exercise_06_monitoring.production.drift_since import since_last_month, since_training
from exercise_06_monitoring.production.model_version import supersede_alerts
from exercise_06_monitoring.production.quiet_weeks import weekly_psis
from exercise_06_monitoring.state import AlertState
from tests.exercise_06.growing_prices import SIGMAS, served_until
from tests.exercise_06.monitored_shop import views_in
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

DAY, WEEK = timedelta(days=1), timedelta(days=7)
REFERENCE = range(5, 13)


def quiet(seed: int, users: int = 600, noise_of_weeks: float = 0.0) -> pd.DataFrame:
    """Return ten rows a week of users with levels of their own, in this week and eight before."""
    random = np.random.default_rng(seed)
    level = random.normal(0, 1, users)
    weeks = []
    for week in (0, *REFERENCE):
        user = random.integers(0, users, 10 * users)
        value = level[user] + random.normal(0, 0.5, len(user)) + random.normal(0, noise_of_weeks)
        weeks.append(pd.DataFrame({"entity": user, "week": week, "value": np.exp(value)}))
    return pd.concat(weeks, ignore_index=True)


def psi_in(check: Check) -> float:
    return float(check.message.split()[1].rstrip(";"))


def test_psi_is_that_of_the_solution_within_its_bins() -> None:
    rows = quiet(1)
    rows.loc[rows["week"] == 0, "value"] *= 2
    is_now = rows["week"] == 0
    expected = calculate_psi(rows["value"][~is_now], rows["value"][is_now])
    assert psi_in(check_psi("a", rows)) == pytest.approx(expected, rel=0.1)


def test_a_shock_of_every_week_is_usual_and_a_larger_one_is_not() -> None:
    """Rows, taken as independent, would find drift in every one of these weeks."""
    found = [check_psi("a", quiet(seed, noise_of_weeks=0.4)) for seed in range(1, 9)]
    assert sum(psi_in(check) > 0.25 for check in found) >= 2
    assert [check.passed for check in found] == [True] * 8
    rows = quiet(13, noise_of_weeks=0.1)
    rows.loc[rows["week"] == 0, "value"] *= 3
    moved = check_psi("a", rows)
    assert moved.passed is False
    assert "p 0.005 among quiet weeks" in moved.message, "(k + 1) / (n + 1)"


def test_few_entities_are_no_alert_however_many_their_rows() -> None:
    rows = quiet(2, users=150)
    rows.loc[rows["week"] == 0, "value"] *= 5
    found = check_psi("a", rows)
    assert psi_in(found) > 0.25
    assert found.passed is True
    assert "1,500 rows are worth 1" in found.message
    assert "units; no alert below 200: see its plot" in found.message


def test_without_a_reference_nothing_is_measured() -> None:
    rows = quiet(3)
    assert check_psi("a", rows[rows["week"] == 0]).passed is None
    assert check_psi("a", rows[rows["week"] > 0]).passed is None
    assert [check.passed for check in check_feature("a", rows.head(0))] == [None, None]


def test_quiet_weeks_are_resampled_once_a_week_and_after_a_new_model(
    tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored limits are the first run's, though the reference has become noisy since."""
    point_settings(data_dir=tmp_path)

    def p_value(rows: pd.DataFrame, days: float) -> str:
        rows.loc[rows["week"] == 0, "value"] *= 2
        (psi, _) = check_feature("a", rows, partial(weekly_psis, AS_OF + days * DAY))
        return psi.message.split("; ")[-1]

    least = "p 0.005 among quiet weeks"
    assert p_value(quiet(1), 0) == least
    noisy = partial(quiet, 13, noise_of_weeks=1.5)
    assert p_value(noisy(), 6) == least
    assert p_value(noisy(), 7) != least
    assert p_value(quiet(1), 8) != least
    for version in ("v1", "v2"):
        monkeypatch.setattr(model_version, "read_model", lambda v=version: {"version": v})
        supersede_alerts(AlertState(), AS_OF)
    assert p_value(quiet(1), 8) == least


# ---- Rare counts and identifiers --------------------------------------------------------------


def failed(checks: Any) -> list[str]:
    return [check.feature for check in checks if check.passed is False]


def rare_count(seed: int) -> pd.DataFrame:
    rows = quiet(seed, users=2_000)
    random = np.random.default_rng(seed)
    return rows.assign(value=(random.random(len(rows)) < 0.05) * random.geometric(0.5, len(rows)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda values: values, []),
        (lambda values: values * 20, ["declined"]),
        (lambda values: values.where(values.index % 3 == 0, 0), ["declined: share above zero"]),
    ],
)
def test_a_rare_count_is_compared_by_share_and_by_its_other_values(
    change: Callable[[pd.Series], pd.Series], expected: list[str]
) -> None:
    rows = rare_count(4)
    is_now = rows["week"] == 0
    rows.loc[is_now, "value"] = change(rows.loc[is_now, "value"])
    assert calculate_psi(rows["value"][~is_now], rows["value"][is_now]) < 0.25
    assert failed(check_feature("declined", rows)) == expected


def test_a_rare_count_that_is_zero_for_everybody_has_changed() -> None:
    rows = rare_count(4)
    rows.loc[rows["week"] == 0, "value"] = 0
    assert failed(check_feature("declined", rows)) == ["declined: share above zero"]
    assert failed(check_feature("declined", rows.assign(value=0))) == []


def test_an_identifier_has_its_unseen_values_and_a_category_its_psi() -> None:
    rows = quiet(5)
    identifier = rows.assign(value=np.random.default_rng(5).zipf(1.5, len(rows)))
    identifier["value"] = "product_" + identifier["value"].astype(str)
    assert [check.passed for check in check_feature("last_product_id", identifier)] == [True]
    is_new = (rows["week"] == 0) & (rows.index % 3 == 0)
    renamed = identifier.assign(
        value=identifier["value"].mask(is_new, "new_" + identifier["value"])
    )
    assert failed(check_feature("last_product_id", renamed)) == ["last_product_id: unseen values"]
    assert failed(check_feature("none", identifier.head(0))) == []
    kinds = np.where(rows["value"] > 1, "food", "books")
    kinds[rows["week"] == 0] = "toys"
    assert failed(check_feature("kind", rows.assign(value=kinds))) == ["kind"]


# ---- Slow growth ------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(("window", "days"), [(0, 60), (30, 75)], ids=["price", "30-day mean"])
def test_growth_of_a_fifth_a_month_is_found(sigma: float, window: int, days: int) -> None:
    """In 60 days, or 75; `make drift-figures` has ten seeds."""
    assert check_growth("amount", served_until(days, sigma, 1, window)).passed is False
    assert check_growth("amount", served_until(0, sigma, 1, window)).passed is True


def test_growth_within_its_interval_by_entity_is_chance() -> None:
    """One user in five pays almost everything: the rows seem certain, the entities are not."""
    rows = served_until(0, 1, 3)
    is_one = (rows["week"] < 4) & (rows.index % 3 == 0)
    rows.loc[is_one, ["entity", "value"]] = [7, 60.0]
    check = check_growth("amount", rows)
    assert check.passed is True
    assert "ratio 1.4" in check.message


# ---- The reference leaves out weeks that alerted ----------------------------------------------


VIEW = SimpleNamespace(features=[SimpleNamespace(name="amount")])
VALUES: dict[str, Callable[[np.random.Generator, bool], Any]] = {
    "amount": lambda random, is_hit: random.lognormal(3 * is_hit, 1, 2_000),
    f"amount: {SHARE}": lambda random, is_hit: 1.0 * (random.random(2_000) < 0.1 + 0.3 * is_hit),
}


def windows_of(name: str, hit: Iterable[int] = ()) -> drift_since.Windows:
    """Return windows of 2,000 users, with an incident in some weeks."""

    def windows(view: Any, now: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        week = (AS_OF - now) // WEEK
        value = VALUES[name](np.random.default_rng(week), week in hit)
        rows = pd.DataFrame({"entity": range(2_000), "amount": value})
        return rows.head(0), rows

    return windows


@pytest.mark.parametrize("name", VALUES)
def test_an_incident_that_is_over_raises_no_alarm_a_month_later(
    name: str, tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path)
    incident, drifted = windows_of(name, REFERENCE), windows_of(name, (0, *REFERENCE))
    assert failed(since_last_month(VIEW, AS_OF, incident)) == [name]
    for day in range(35, 84):
        record_alerted_day(Check("drift", name, False, ""), AS_OF - day * DAY)
    assert failed(since_last_month(VIEW, AS_OF, incident)) == []
    assert failed(since_last_month(VIEW, AS_OF, drifted)) == [name], "not forgiven"


def test_a_change_that_stays_is_the_new_usual(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path)
    for day in range(120):
        record_alerted_day(Check("drift", "amount", False, ""), AS_OF - day * DAY)
    checks = since_last_month(VIEW, AS_OF, windows_of("amount"))
    assert [check.passed for check in checks] == [True, True]


def test_a_quiet_shop_has_no_alarm(
    simulated: Path, tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path, model_dir=tmp_path)
    users, _, _, preferences, _ = views_in(simulated)
    tables = [(view, pd.DataFrame()) for view in (users, preferences)]
    checks = list(drift_since.check_drift(tables, AS_OF))
    expected = {"avg_transaction_amount", "last_product_id: unseen values"}
    assert expected <= {check.feature for check in checks}
    assert failed(checks) == []


def test_inputs_are_compared_with_training_by_entity(
    tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growth and PSI of one input; the other is its merchant's and has too few merchants."""
    point_settings(data_dir=tmp_path)
    view = SimpleNamespace(join_keys=["merchant_id"], features=[SimpleNamespace(name="rate")])
    monkeypatch.setattr(drift_since, "read_views", lambda: [view])
    monkeypatch.setattr(drift_since, "read_model", lambda: {"features": ["amount", "rate"]})

    def requests(seed: int, days: int, factor: float) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        rows = 300 * days
        columns = {
            "user_id": random.integers(0, 1_000, rows),
            "merchant_id": random.integers(0, 20, rows),
            "event_timestamp": AS_OF - pd.to_timedelta(random.uniform(0, days, rows), "D"),
            "amount": factor * random.lognormal(3, 0.5, rows),
        }
        return pd.DataFrame(columns).assign(rate=lambda known: known["merchant_id"] * factor)

    training = requests(1, 56, 1.0).assign(split="train")
    served = [requests(seed, 7, 2.0) for seed in range(2, 6)]
    week, month = "amount since training", "amount since training, 28 days"
    quiet_weeks = [requests(seed, 7, 1.0) for seed in range(2, 6)]
    found = failed(since_training(training, served, AS_OF))
    growth = [f"{name}: growth since training" for name in ("amount", "rate")]
    assert found == [week, month, *growth]
    few = [rows.head(150) for rows in served]
    assert failed(since_training(training, few, AS_OF)) == [month, *growth], "worth 200 units"
    young = [*few[:3], few[3].head(0)]
    assert month not in {check.feature for check in since_training(training, young, AS_OF)}
    assert failed(since_training(training, quiet_weeks, AS_OF)) == []


# ---- Lifetime counts --------------------------------------------------------------------------


def lifetime_counts(view: Any, now: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return windows of 600 users who buy a new product every second week."""
    weeks = np.random.default_rng(1).poisson(0.5, (600, 30)).cumsum(axis=1)
    rows = pd.DataFrame({"entity": range(600), "products": weeks[:, 27 - (AS_OF - now) // WEEK]})
    return rows.head(0), rows


def changed_last_week(change: Callable[[pd.Series], pd.Series]) -> drift_since.Windows:
    def windows(view: Any, now: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        reference, rows = lifetime_counts(view, now)
        is_changed = now == AS_OF
        return reference, rows.assign(products=change) if is_changed else rows

    return windows


def test_a_lifetime_count_is_compared_by_its_increments(
    tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It grows with the age of its entities: against an earlier time it drifts by definition."""
    point_settings(data_dir=tmp_path)
    view = SimpleNamespace(join_keys=["entity"], features=[SimpleNamespace(name="products")])
    assert failed(since_last_month(view, AS_OF, lifetime_counts)) == []
    for change in (lambda rows: rows["products"] + 3, lambda rows: rows["products"] * 0):
        found = failed(since_last_month(view, AS_OF, changed_last_week(change)))
        assert found == ["products", "products: share above zero"]
    weeks = [lifetime_counts(view, AS_OF - week * WEEK)[1].assign(week=week) for week in range(16)]
    rows = pd.concat(weeks).assign(value=lambda known: known["products"])
    assert failed(check_feature("raw", rows[~rows["week"].between(1, 4)])) == ["raw"]
    rows["event_timestamp"] = AS_OF - rows["week"] * WEEK
    monkeypatch.setattr(drift_since, "read_views", lambda: [view])
    monkeypatch.setattr(drift_since, "read_model", lambda: {"features": ["products"]})
    served = [rows[rows["week"] == week] for week in range(4)]
    training = rows[rows["week"] > 6].assign(split="train")
    assert list(since_training(training, served, AS_OF)) == []
    flags = rows.assign(value=pd.array(rows["value"] % 2 > 0, dtype="boolean"))
    assert not is_lifetime_count(flags)
    assert not is_lifetime_count(flags.assign(value=flags["value"].astype(str)))


# ---- A new model ------------------------------------------------------------------------------


@pytest.mark.parametrize("alerts", [AlertState(), Alertmanager("http://127.0.0.1:9")])
def test_a_new_model_supersedes_the_alerts_of_its_predecessor(
    alerts: AlertState,
    tmp_path: Path,
    point_settings: PointSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    point_settings(data_dir=tmp_path)
    posts: list[dict[str, Any]] = []

    def post(_: Alertmanager, alerts: list[dict[str, Any]]) -> bool:
        posts.extend(alerts)
        return True

    monkeypatch.setattr(Alertmanager, "_post", post)
    open_alerts = [
        Check("drift", "amount since training", False, "moved"),
        Check("prediction", "flagged_users", False, "few", "critical"),
        Check("drift", "amount", False, "moved"),
    ]
    for version in ("v1", "v1", "v2"):
        monkeypatch.setattr(model_version, "read_model", lambda v=version: {"version": v})
        supersede_alerts(alerts, AS_OF)
        if version == "v1":
            alerts.update(open_alerts)
            assert len(alerts.open_alerts()) == 3
    assert [alert.feature for alert in alerts.open_alerts()] == ["amount"]
    sent = capsys.readouterr().out + str(posts)
    assert sent.count("superseded by model v2") == 2
    supersede_alerts(alerts, AS_OF)
    assert [alert.feature for alert in alerts.open_alerts()] == ["amount"]
