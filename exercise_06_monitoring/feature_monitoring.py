"""Exercise 6: detect drift and damaged data, send alerts, write the daily report.

"Now" is the run's own time: a clock read from the data would never find that the data stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from scipy import stats

from exercise_06_monitoring.alerts import SEVERITIES, Alert, AlertState
from exercise_06_monitoring.bins import as_numbers, bin_counts
from exercise_06_monitoring.quality import Check, check_view, expectations, log_scale, outlier_rate
from exercise_06_monitoring.report import write_report
from exercise_06_monitoring.serving import check_api, check_redis
from exercise_06_monitoring.windows import drift_windows, features_of, read_rows, read_views
from lab.learn import UserError, run_script, settings, utc_now

SIGNIFICANCE = 0.05
KS_MIN_STATISTIC = 0.05  # a million rows make 0.002 significant
PSI_MODERATE, PSI_SIGNIFICANT = 0.1, 0.25  # the brief's bands
MAX_NULL_RATE, MAX_OUTLIER_RATE = 0.05, 0.10  # the brief's
CRITICAL = ("freshness", "type", "key", "answers", "online_offline")  # broken, not only unusual
DAY, HISTORY = timedelta(days=1), timedelta(days=30)

Measure = Callable[[Any, datetime], list[dict[str, Any]]]
Publish = Callable[[datetime, list[Alert], pd.DataFrame, dict[str, list[Check]]], Path]

# ---- Step 1: drift detection ------------------------------------------------------------------


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = SIGNIFICANCE
) -> tuple[bool, float, float]:
    """Return (has_drift, statistic, p_value) of the Kolmogorov-Smirnov test, without nulls.

    Drift is a p-value below the threshold and a statistic of at least 0.05. An empty side gives
    (False, NaN, NaN).
    """
    reference, current = as_numbers(reference_data).dropna(), as_numbers(current_data).dropna()
    if reference.empty or current.empty:
        return False, np.nan, np.nan
    statistic, p_value = stats.ks_2samp(reference, current)
    has_drift = p_value < threshold and statistic >= KS_MIN_STATISTIC
    return bool(has_drift), float(statistic), float(p_value)


def calculate_psi(reference_data: pd.Series, current_data: pd.Series, num_bins: int = 10) -> float:
    """Return the Population Stability Index over quantile bins of the reference.

    The outer bins are open, and nulls have a bin of their own. Half an observation is added to each
    bin: with the brief's epsilon one empty bin alone adds 2.07. An empty side gives NaN.
    """
    reference, current = bin_counts(reference_data, current_data, num_bins)
    if not reference.sum() or not current.sum():
        return np.nan
    expected = (reference + 0.5) / (reference + 0.5).sum()
    actual = (current + 0.5) / (current + 0.5).sum()
    return float(((actual - expected) * np.log(actual / expected)).sum())


def measure_drift(feature: str, reference: pd.Series, current: pd.Series) -> dict[str, Any]:
    """Return the statistics of one feature; the p-value is of chi-square over the PSI's bins.

    The KS test leaves out nulls and categories. Without drift PSI is about chi-square times
    (1/n + 1/m): for few entities that is above 0.25, and is the limit.
    """
    counts = bin_counts(reference, current)
    counts, rows = counts[:, counts.any(axis=0)], counts.sum(axis=1)
    chance = stats.chi2.ppf(0.95, max(counts.shape[1] - 1, 1)) * (1 / rows.clip(1)).sum()
    return {
        "feature": feature,
        "psi": calculate_psi(reference, current),
        "chance": float(chance),
        "limit": max(PSI_SIGNIFICANT, chance),
        "ks": detect_drift_ks_test(reference, current)[1],
        "p_value": stats.chi2_contingency(counts).pvalue if rows.all() else np.nan,
        "rows_reference": rows[0],
        "rows_current": rows[1],
    }


def measure_view(view: Any, now: datetime) -> list[dict[str, Any]]:
    """Measure each feature of a view between its two windows."""
    reference, current = drift_windows(view, now)
    return [measure_drift(name, reference[name], current[name]) for name in features_of(view)]


def monitor_feature_drift(feature_name: str) -> bool:
    """Print the drift of one feature between days -60 to -32 and the last 7; True if it drifted."""
    (row,) = generate_drift_report([feature_name]).to_dict("records")
    print(f"KS {row['ks']:.3f}, PSI {row['psi']:.3f} (limit {row['limit']:.3f})")
    return bool(row["has_drift"])


# ---- Step 2: data quality ---------------------------------------------------------------------


def check_data_quality(
    feature_data: pd.DataFrame, limits: dict[str, dict[str, float]] | None = None
) -> pd.DataFrame:
    """Return the null rate of each column and the outlier rate of each number.

    Columns: column, check, value, passed, message. Outliers lie outside 1.5 interquartile
    ranges; a healthy long tail passes if few of its logarithms do.
    """
    results = []
    for column, values in feature_data.items():
        if values.empty:
            continue
        name, limit = str(column), (limits or {}).get(str(column), {})
        nulls, most = float(values.isna().mean()), limit.get("max_null_rate", MAX_NULL_RATE)
        message = f"{nulls:.1%} are null; the limit is {most:.0%}"
        results.append(Check(name, "null_rate", nulls, nulls <= most, message))
        if is_numeric_dtype(values) and not is_bool_dtype(values):
            numbers, most = as_numbers(values), limit.get("max_outlier_rate", MAX_OUTLIER_RATE)
            outliers = outlier_rate(numbers)
            least = min(outliers, outlier_rate(log_scale(numbers)))
            message = f"{least:.1%} are outliers; the limit is {most:.0%}"
            results.append(Check(name, "outlier_rate", outliers, least <= most, message))
    return pd.DataFrame(results, columns=[field.name for field in fields(Check)])


# ---- Step 3: alerting (serving metrics are in serving.py) ------------------------------------


def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> bool:
    """Open an alert and notify its receivers; False if that failed, or was done within a week."""
    if severity not in SEVERITIES:
        raise UserError(f"there is no severity {severity}", f"use one of {', '.join(SEVERITIES)}")
    return AlertState().open(Alert(alert_type, feature_name, severity, message), utc_now())


# ---- Step 4: reports --------------------------------------------------------------------------


def generate_drift_report(
    features: list[str], now: datetime | None = None, measure: Measure = measure_view
) -> pd.DataFrame:
    """Return feature, has_drift, psi, severity, and the statistics, of each feature.

    P-values are corrected for the number of features (Benjamini and Hochberg). Severity: high is
    drift; medium is a PSI above 0.1; unknown is a window without rows.
    """
    moment = now or settings.as_of or utc_now()
    report = pd.DataFrame([row for view in read_views() for row in measure(view, moment)])
    if unknown := ", ".join(set(features) - set(report["feature"])):
        raise UserError(f"no feature view has {unknown}", "feast feature-views list")
    measured = report["p_value"].notna()
    report.loc[measured, "q_value"] = stats.false_discovery_control(report["p_value"][measured])
    is_certain = report["q_value"] < SIGNIFICANCE
    report["has_drift"] = is_certain & (report["psi"] > report["limit"])
    cases = [~measured, report["has_drift"], is_certain & (report["psi"] > PSI_MODERATE)]
    report["severity"] = np.select(cases, ["unknown", "high", "medium"], "low")
    report = report.set_index("feature").loc[features].reset_index()
    print(report[["feature", "has_drift", "psi", "severity"]].to_string(index=False))
    return report


@dataclass(frozen=True)
class Monitor:
    """One run of all checks. Production passes other parts."""

    measure: Measure = measure_view
    alerts: AlertState = field(default_factory=AlertState)
    publish: Publish = write_report

    def run(self, now: datetime) -> None:
        """Check everything, open and resolve alerts, write the page."""
        views = read_views()
        features = [feature for view in views for feature in features_of(view)]
        drift = generate_drift_report(features, now, self.measure)
        checks = {"drift": list(drift_checks(drift))} | check_parts(views, now)
        healthy = set()
        for part, check in [(name, check) for name in checks for check in checks[name]]:
            kind, _, subject = part.partition(" ")
            feature = ".".join(filter(None, (subject, check.column, check.check)))
            severity = "critical" if check.check in CRITICAL else "warning"
            if check.passed:
                healthy.add((kind, feature))
            elif check.passed is False:  # not measured opens no alert and resolves none
                self.alerts.open(Alert(kind, feature, severity, check.message), now)
        self.alerts.resolve(healthy, now)
        print(f"report: {self.publish(now, self.alerts.open_alerts(), drift, checks)}")


def drift_checks(report: pd.DataFrame) -> Iterator[Check]:
    """Yield a check for each feature of a drift report."""
    for row in report.to_dict("records"):
        passed = None if row["severity"] == "unknown" else not row["has_drift"]
        message = f"PSI {row['psi']:.2f}, the limit is {row['limit']:.2f}; q {row['q_value']:.2g}"
        yield Check(row["feature"], "", row["psi"], passed, message)


def check_parts(views: list[Any], now: datetime) -> dict[str, list[Check]]:
    """Check what arrived within a day, Redis and the API; the keys are type and subject."""
    tables = [(view, read_rows(view, now - HISTORY, now)) for view in views]
    checks = {}
    for view, rows in tables:
        day = rows.loc[rows["arrived"] > now - DAY, features_of(view)]
        found = check_data_quality(day, expectations(view).get("features")).to_dict("records")
        columns = [Check(**row) for row in found]
        checks[f"data_quality {view.name}"] = [*check_view(view, rows, now), *columns]
    redis = {f"serving {name}": found for name, found in check_redis(tables, now).items()}
    return checks | redis | {"serving api": check_api()}


def main() -> None:
    Monitor().run(settings.as_of or utc_now())


if __name__ == "__main__":
    run_script(main)
