"""Exercise 6: detect drift and damaged data, send alerts, write the daily report.

"Now" is the run's own time: a clock read from the data would never find that the data stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
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
Limits = Callable[[Any, datetime], dict[str, float]]

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
    """Return the statistics of one feature; categories have a chi-square test in place of KS."""
    before, now = bin_counts(reference, current)
    used, statistic, p_value, chance = (before + now) > 0, np.nan, np.nan, np.nan
    if len(reference) and len(current):
        if not is_numeric_dtype(reference):
            statistic, p_value, *_ = stats.chi2_contingency([before[used], now[used]])
        elif as_numbers(reference).notna().any() and as_numbers(current).notna().any():
            _, statistic, p_value = detect_drift_ks_test(reference, current)
        else:
            statistic, p_value = 1.0, 0.0  # nulls only: the PSI of their bin decides
        # Without drift PSI is about chi-square times (1/n + 1/m): above 0.1 for few entities.
        chance = stats.chi2.ppf(0.95, max(used.sum() - 1, 1)) * (
            1 / len(reference) + 1 / len(current)
        )
    return {
        "feature": feature,
        "psi": calculate_psi(reference, current),
        "chance": float(chance),
        "statistic": float(statistic),
        "p_value": float(p_value),
        "rows_reference": len(reference),
        "rows_current": len(current),
    }


def measure_view(view: Any, now: datetime) -> list[dict[str, Any]]:
    """Measure each feature of a view between its two windows."""
    reference, current = drift_windows(view, now)
    return [measure_drift(name, reference[name], current[name]) for name in features_of(view)]


def brief_limits(view: Any, _: datetime) -> dict[str, float]:
    """Return the smallest PSI of each feature that is drift."""
    return dict.fromkeys(features_of(view), PSI_SIGNIFICANT)


def monitor_feature_drift(feature_name: str) -> bool:
    """Print the drift of one feature between days -60 to -32 and the last 7; True if it drifted."""
    (row,) = generate_drift_report([feature_name]).to_dict("records")
    print(f"KS {row['statistic']:.3f} (p {row['p_value']:.2g}), PSI {row['psi']:.3f}")
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
        name, limit = str(column), (limits or {}).get(str(column), {})
        nulls, most = float(values.isna().mean()), limit.get("max_null_rate", MAX_NULL_RATE)
        message = f"{nulls:.1%} are null; the limit is {most:.0%}"
        results.append(Check(name, "null_rate", nulls, nulls <= most, message))
        if is_numeric_dtype(values) and not is_bool_dtype(values):
            numbers, most = as_numbers(values), limit.get("max_outlier_rate", MAX_OUTLIER_RATE)
            outliers = outlier_rate(numbers)
            passed = min(outliers, outlier_rate(log_scale(numbers))) <= most
            message = f"{outliers:.1%} are outliers; the limit is {most:.0%}"
            results.append(Check(name, "outlier_rate", outliers, passed, message))
    return pd.DataFrame([asdict(result) for result in results])


# ---- Step 3: alerting (serving metrics are in serving.py) ------------------------------------


def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> bool:
    """Open an alert and notify its receivers; False if they were notified within a week.

    A failed delivery is printed, and repeated at the next run.
    """
    if severity not in SEVERITIES:
        raise UserError(f"there is no severity {severity}", f"use one of {', '.join(SEVERITIES)}")
    return AlertState().open(Alert(alert_type, feature_name, message, severity), utc_now())


# ---- Step 4: reports --------------------------------------------------------------------------


def generate_drift_report(
    features: list[str],
    now: datetime | None = None,
    measure: Measure = measure_view,
    limits: Limits = brief_limits,
) -> pd.DataFrame:
    """Return feature, has_drift, psi, severity, and the statistics, of each feature.

    P-values are corrected for the number of features (Benjamini and Hochberg). Severity: high is
    drift; medium is a PSI above 0.1; unknown is a window without rows.
    """
    moment, views = now or settings.as_of or utc_now(), read_views()
    known = {feature for view in views for feature in features_of(view)}
    if unknown := sorted(set(features) - known):
        raise UserError(
            f"no feature view has {', '.join(unknown)}", f"choose from: {sorted(known)}"
        )
    wanted = [view for view in views if set(features_of(view)) & set(features)]
    rows = pd.DataFrame([row for view in wanted for row in measure(view, moment)])
    report = rows.set_index("feature").loc[features].reset_index()
    measured = report["p_value"].notna()
    limit: dict[str, float] = {}
    for view in wanted:
        limit |= limits(view, moment)
    report.loc[measured, "q_value"] = stats.false_discovery_control(report["p_value"][measured])
    report["limit"] = report["chance"].clip(lower=report["feature"].map(limit))
    certain = report["q_value"] < SIGNIFICANCE
    report["has_drift"] = certain & (report["psi"] > report["limit"])
    moderate = certain & (report["psi"] > report["chance"].clip(lower=PSI_MODERATE))
    cases = [~measured, report["has_drift"], moderate]
    report["severity"] = np.select(cases, ["unknown", "high", "medium"], "low")
    print(report[["feature", "has_drift", "psi", "severity"]].to_string(index=False))
    return report


@dataclass(frozen=True)
class Monitor:
    """One run of all checks. Production passes other parts."""

    measure: Measure = measure_view
    limits: Limits = brief_limits
    alerts: AlertState = field(default_factory=AlertState)

    def run(self, now: datetime) -> None:
        """Check everything, open and resolve alerts, write the page."""
        views = read_views()
        features = [feature for view in views for feature in features_of(view)]
        drift = generate_drift_report(features, now, self.measure, self.limits)
        checks = {"drift": list(drift_checks(drift))} | check_parts(views, now)
        for part, found in checks.items():
            kind, _, subject = part.partition(" ")
            for check in found:
                feature = ".".join(filter(None, (subject, check.column, check.check)))
                severity = "critical" if check.check in CRITICAL else "warning"
                if check.passed is False:
                    self.alerts.open(Alert(kind, feature, check.message, severity), now)
                elif check.passed:
                    self.alerts.resolve(kind, feature, now)
        print(f"report: {write_report(now, self.alerts.open_alerts(), drift, checks)}")


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
