"""Drift since training and flagged users: one row a request, correlated by entity."""

import json
import math
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring import feature_monitoring, windows
from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import (
    check_model,
    drift_since_training,
    generate_drift_report,
)
from exercise_06_monitoring.report import drift_checks, grade_drift
from exercise_06_monitoring.serving import check_flagged_users
from exercise_06_monitoring.windows import (
    METADATA,
    MODEL,
    TRAINING,
    read_requests,
    read_training,
)
from lab.learn import UserError
from lab.settings import settings
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

DAY = timedelta(days=1)
THRESHOLD = 0.7


class FirstInput:
    """A classifier whose score is its first input."""

    def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - inputs[:, 0], inputs[:, 0]])


@pytest.fixture
def model(tmp_path: Path, point_settings: PointSettings) -> Path:
    """Return the folder of a model over `amount` and `rate`."""
    point_settings(model_dir=tmp_path)
    joblib.dump(FirstInput(), tmp_path / MODEL)
    metadata = {"service": "fraud_detection", "features": ["amount", "rate"]}
    (tmp_path / METADATA).write_text(json.dumps(metadata | {"threshold": THRESHOLD}))
    return tmp_path


def describe(model: Path, **metadata: Any) -> None:
    """Change the model's metadata."""
    file = model / METADATA
    file.write_text(json.dumps(json.loads(file.read_text()) | metadata))


def payments(days: float, seed: int, merchants: int = 200) -> pd.DataFrame:
    """Return payments until the as-of; `rate` is the merchant's and hardly changes."""
    random = np.random.default_rng(seed)
    rows = round(500 * days)
    merchant = random.zipf(1.5, rows) % merchants
    rates = np.random.default_rng([seed, 1]).lognormal(0, 1, merchants)
    return pd.DataFrame(
        {
            "user_id": [f"user_{n}" for n in random.integers(0, 1_000, rows)],
            "merchant_id": [f"merchant_{n}" for n in merchant],
            "event_timestamp": AS_OF - pd.to_timedelta(random.uniform(0, days, rows), "D"),
            "amount": random.beta(1, 2, rows),
            "rate": rates[merchant],
        }
    )


def training_frame(seed: int) -> pd.DataFrame:
    frame = payments(40, seed)
    frame["event_timestamp"] -= 10 * DAY
    age = AS_OF - frame["event_timestamp"]
    return frame.assign(split=np.where(age > 30 * DAY, "train", "test"))


@pytest.fixture
def merchant_view(monkeypatch: pytest.MonkeyPatch) -> None:
    view = SimpleNamespace(join_keys=["merchant_id"], features=[SimpleNamespace(name="rate")])
    monkeypatch.setattr(feature_monitoring, "read_views", lambda: [view])


def test_a_merchants_many_payments_are_no_evidence(model: Path, merchant_view: None) -> None:
    """200 merchants with other rates: PSI above 0.25 with nothing planted, and no alarm."""
    found = [drift_since_training(training_frame(s), payments(7, s + 50)) for s in range(10)]
    rates = pd.concat([report[report["feature"] == "rate"] for report in found])
    assert (rates["psi"] > 0.25).sum() > 5
    assert not pd.concat(found)["has_drift"].any()


def test_what_changed_since_training_is_found(model: Path, merchant_view: None) -> None:
    served = payments(7, 2).assign(amount=lambda rows: rows["amount"] ** 0.3)
    report = drift_since_training(training_frame(1), served).set_index("feature")
    assert report.loc["amount", "has_drift"]
    assert set(report["baseline"]) == {"training"}


def report_of(psi: dict[str, float]) -> pd.DataFrame:
    """Return the report of one feature against each baseline."""
    parts = []
    for baseline, value in psi.items():
        row = {"feature": "a", "psi": value, "p_value": np.nan if np.isnan(value) else 0.001}
        parts.append(grade_drift([row], baseline))
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("psi", "results"),
    [
        ({"last month": 0.1, "training": 0.2}, [(True, "warning"), (True, "warning")]),
        ({"last month": 0.1, "training": 0.4}, [(True, "warning"), (False, "warning")]),
        ({"last month": 5.0, "training": 0.4}, [(False, "critical"), (False, "warning")]),
        ({"last month": 0.1, "training": math.nan}, [(True, "warning"), (None, "warning")]),
    ],
)
def test_a_baseline_has_a_check_and_its_severity_follows_size(
    psi: dict[str, float], results: list[tuple[bool | None, str]]
) -> None:
    checks = list(drift_checks(report_of(psi)))
    assert [(check.passed, check.severity) for check in checks] == results
    assert [check.feature for check in checks] == ["a", "a since training"]


# ---- Flagged users ---------------------------------------------------------------------------


def flagged(served: pd.DataFrame, seed: int = 1, hour: int = 0) -> Check:
    return check_flagged_users(training_frame(seed), served, AS_OF + timedelta(hours=hour))


@pytest.mark.parametrize("hour", [0, 12])
def test_a_quiet_day_does_not_page(hour: int, model: Path) -> None:
    """At noon, 24 hours lie in two calendar days: by these each user would count twice."""
    results = []
    for seed in range(10):
        day = payments(1, seed)
        day["event_timestamp"] += timedelta(hours=hour)
        results.append(flagged(day, seed=seed % 5, hour=hour).passed)
    assert results == [True] * 10


@pytest.mark.parametrize("factor", [0.2, 2.5])
def test_many_more_or_fewer_flagged_users_page(model: Path, factor: float) -> None:
    """Decile PSI of the score would read 0.02."""
    random, day = np.random.default_rng(7), payments(1, 9)
    is_flagged = random.random(len(day)) < factor * (1 - THRESHOLD) ** 2
    day["amount"] = np.where(is_flagged, 0.95, day["amount"].clip(upper=0.69))
    check = flagged(day)
    assert (check.passed, check.severity) == (False, "critical")
    assert "users have a payment at or above the" in check.message


def test_a_user_who_tries_a_hundred_times_is_one(model: Path) -> None:
    day = payments(1, 9)
    fraudster = day.head(1).assign(user_id="fraudster", amount=0.99)
    assert flagged(pd.concat([day, *[fraudster] * 100], ignore_index=True)).passed


def test_a_day_without_payments_is_not_measured(model: Path) -> None:
    assert flagged(payments(9, 1).assign(event_timestamp=AS_OF - DAY)).passed is None


# ---- What was served -------------------------------------------------------------------------


def test_a_request_has_the_values_as_of_its_moment(
    shop: Path, model: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=shop, as_of=AS_OF)
    describe(model, features=["chargeback_rate"])
    served = read_requests(AS_OF)
    raw = pd.read_parquet(shop / "transactions.parquet")
    week = raw[raw["event_timestamp"] > AS_OF - 7 * DAY]
    assert sorted(served["event_timestamp"]) == sorted(week["event_timestamp"])
    assert served["transaction_count_5m"].notna().all(), "a quiet user's count is 0"
    assert served["avg_amount_5m"].isna().any(), "a quiet user's mean is unknown"
    assert served["amount_vs_avg_ratio"].notna().any(), "on-demand features are there"
    table = pd.read_parquet(shop / "user_stats.parquet").sort_values("event_timestamp")
    row = served.sort_values("event_timestamp").iloc[len(served) // 2]
    known = table[(table["user_id"] == row["user_id"])]
    known = known[known["created_timestamp"] <= row["event_timestamp"]]
    assert known["transaction_count_30d"].iloc[-1] == row["transaction_count_30d"]


@pytest.mark.parametrize("change", [{"features": ["chargeback_rate", "old"]}, {"service": "old"}])
def test_an_input_that_the_service_lost_is_named(
    change: dict[str, Any], shop: Path, model: Path, point_settings: PointSettings
) -> None:
    point_settings(data_dir=shop, as_of=AS_OF)
    describe(model, **change)
    with pytest.raises(UserError, match=r"input.* old.*\n  next: lab run 4"):
        read_requests(AS_OF)


@pytest.mark.parametrize(("days", "baselines"), [(28, ["", ", 28 days"]), (20, [""])])
def test_a_week_is_compared_with_training_and_four_where_there_are_so_many(
    days: int,
    baselines: list[str],
    model: Path,
    merchant_view: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = {7: payments(7, 2), 28: payments(days, 3)}
    monkeypatch.setattr(windows, "read_training", lambda: training_frame(1))
    monkeypatch.setattr(windows, "read_requests", lambda _, days=7, **__: served[days])
    drift, _ = check_model(AS_OF)
    assert list(drift["baseline"].unique()) == [f"training{days}" for days in baselines]


@pytest.mark.parametrize("name", [MODEL, TRAINING, METADATA])
@pytest.mark.parametrize("content", [None, b"", b"[]"])
def test_a_model_that_cannot_be_used_is_one_sentence(
    name: str, content: bytes | None, model: Path
) -> None:
    training_frame(1).to_parquet(model / TRAINING)
    (model / name).unlink()
    if content is not None:
        (model / name).write_bytes(content)
    with pytest.raises(UserError, match=r"model in .*\n  next: lab run 4"):
        read_training()


@pytest.mark.parametrize("rows", [slice(0), slice(None)])
def test_a_model_without_test_rows_is_not_usable(
    rows: slice, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_frame(1)[rows].assign(split="train").to_parquet(model / TRAINING)
    with pytest.raises(UserError, match="no rows of training, or none of a test"):
        read_training()


def test_without_a_model_there_is_no_training_baseline(
    shop: Path, tmp_path: Path, point_settings: PointSettings
) -> None:
    pd.DataFrame({"split": ["train"]}).to_parquet(tmp_path / TRAINING)
    point_settings(data_dir=shop, model_dir=tmp_path)
    with pytest.raises(UserError, match="there is no model"):
        read_training()
    assert set(generate_drift_report(["refund_rate"], AS_OF)["baseline"]) == {"last month"}
    assert settings.model_dir == tmp_path
