"""Outcomes of mature payments, and the volume of a view against the same weekday."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.production import outcomes
from exercise_06_monitoring.production.alerted_days import alerted_days, record_alerted_day
from exercise_06_monitoring.production.outcomes import (
    Outcome,
    compare,
    evaluate,
    mature_payments,
)
from exercise_06_monitoring.production.volume import check_volume, check_volumes
from exercise_06_monitoring.state import record_run
from lab.settings import settings
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

DAY = timedelta(days=1)
VIEW = SimpleNamespace(name="users")


def payments(seed: int, rows: int = 6_000, skill: float = 2, days: float = 7) -> pd.DataFrame:
    """Return mature payments of 1,000 users; `skill` separates the scores of frauds from others."""
    random = np.random.default_rng(seed)
    is_fraud = (random.random(rows) < 0.04).astype(int)
    odds = random.normal(skill * is_fraud - 4, 1)
    return pd.DataFrame(
        {
            "user_id": random.integers(0, 1_000, rows).astype(str),
            "merchant_id": [f"{n}" for n in range(rows)],
            "event_timestamp": AS_OF - pd.to_timedelta(random.uniform(7, 7 + days, rows), "D"),
            "score": 1 / (1 + np.exp(-odds)),
            "is_fraud": is_fraud,
        }
    )


def outcome(seed: int, skill: float = 2, rows: int = 6_000) -> Outcome:
    return evaluate(payments(seed, rows, skill), threshold=0.3)


def test_an_unchanged_model_passes_and_a_worse_one_fails() -> None:
    usual = outcome(1)
    assert all(compare(outcome(seed), usual).passed for seed in range(2, 12))
    check = compare(outcome(2, skill=0.5), usual, declined=7)
    assert check.passed is False, "a boolean of Python: alerts compare by identity"
    assert check.severity == "critical"
    assert "7 declined are left out" in check.message


def test_few_frauds_are_not_measured() -> None:
    few = outcome(3, skill=0, rows=1_000)
    assert few.frauds < outcomes.FEWEST_FRAUDS
    assert compare(few, outcome(1)).passed is None


def test_a_user_with_many_payments_widens_the_interval() -> None:
    rows = payments(4)
    one_user = rows.assign(user_id=np.where(rows["is_fraud"] == 1, "thief", rows["user_id"]))
    of_users, of_one = (evaluate(frame, 0.3) for frame in (rows, one_user))
    assert of_one.high - of_one.low > 1.5 * (of_users.high - of_users.low)


def test_weeks_are_pooled_and_the_young_and_the_declined_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest week has 240 frauds by label, and none of its payments is mature."""
    raw = payments(5, rows=3_000, days=21)
    young = payments(6).assign(event_timestamp=AS_OF - DAY)
    raw = pd.concat([raw, young], ignore_index=True)
    raw["is_approved"] = np.arange(len(raw)) % 10 != 0
    raw["label"] = raw["is_fraud"].where(raw["is_approved"] & (raw["is_fraud"] == 1))

    def week(now: pd.Timestamp) -> pd.DataFrame:
        age = now - raw["event_timestamp"]
        return raw[(age >= timedelta()) & (age < 7 * DAY)].drop(
            columns=["label", "is_approved", "is_fraud"]
        )

    monkeypatch.setattr(outcomes, "read_requests", week)
    monkeypatch.setattr(outcomes, "scored", lambda rows: rows)
    monkeypatch.setattr(pd, "read_parquet", lambda *_, **__: raw)
    found, declined = mature_payments(AS_OF)
    expected = raw[(raw["event_timestamp"] <= AS_OF - 7 * DAY) & raw["is_approved"]]
    assert sorted(found["event_timestamp"]) == sorted(expected["event_timestamp"])
    assert found["is_fraud"].sum() == expected["is_fraud"].sum() > outcomes.FEWEST_FRAUDS
    assert declined == 300
    assert settings.data_dir


def test_a_loss_is_found_on_every_day_of_it_and_weekends_are_no_loss() -> None:
    hours = pd.date_range(AS_OF - 40 * DAY, AS_OF, freq="h")
    usual = pd.Series(hours.repeat(np.where(hours.weekday < 5, 100, 20)))
    for day in range(7):
        now = AS_OF - day * DAY
        assert check_volume(VIEW, usual[usual <= now], now).passed
    for since in (1, 5, 7):
        is_new = usual > AS_OF - since * DAY
        lost = usual[~is_new | (usual.index % 5 < 2)]
        check = check_volume(VIEW, lost, AS_OF)
        assert (check.passed, check.severity) == (False, "critical"), "60 % were lost"


def test_a_loss_of_three_weeks_is_not_forgiven_and_its_end_is_no_growth(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path)
    hours = pd.Series(pd.date_range(AS_OF - 70 * DAY, AS_OF, freq="h").repeat(10))
    is_lost = (hours > AS_OF - 35 * DAY) & (hours <= AS_OF - 14 * DAY) & (hours.index % 5 > 1)
    rows = pd.DataFrame({"moment": hours[~is_lost]})
    results = []
    for day in range(36, -1, -1):
        now = AS_OF - day * DAY
        (check,) = check_volumes([(VIEW, rows[rows["moment"] <= now])], now)
        results.append(check.passed)
    assert results == [True] * 2 + [False] * 21 + [True] * 14


def test_a_rerun_of_an_old_day_records_no_alert_of_it(
    tmp_path: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path)
    record_run(AS_OF)
    for now in (AS_OF - DAY, AS_OF):
        record_alerted_day(Check("drift", "a", False, ""), now)
    assert alerted_days("drift", "a") == {AS_OF.date()}


def test_an_old_incident_has_no_echo_and_a_young_view_is_not_measured() -> None:
    hours = pd.Series(pd.date_range(AS_OF - 40 * DAY, AS_OF, freq="min"))
    age = AS_OF - hours
    mended = hours[(age < 7 * DAY) | (age > 9 * DAY)]
    assert check_volume(VIEW, mended, AS_OF).passed
    assert check_volume(VIEW, hours[age < 20 * DAY], AS_OF).passed is None
    assert check_volume(VIEW, hours.head(0), AS_OF).passed is None


def test_a_few_rows_fewer_are_chance() -> None:
    random = np.random.default_rng(5)
    results = []
    for _ in range(50):
        moments = AS_OF - pd.to_timedelta(random.uniform(0, 30, random.poisson(5 * 30)), "D")
        results.append(check_volume(VIEW, pd.Series(moments), AS_OF).passed)
    assert results == [True] * 50


def test_a_source_that_stopped_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point_settings: PointSettings
) -> None:
    point_settings(data_dir=tmp_path)
    rows = payments(1).assign(label=1, is_approved=True)
    rows.to_parquet(tmp_path / "transactions.parquet")
    monkeypatch.setattr(outcomes, "read_requests", lambda now: rows.head(0))
    assert mature_payments(AS_OF)[0].empty
