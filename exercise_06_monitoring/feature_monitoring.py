"""Exercise 6: detect drift and damaged data, send alerts, write the daily report.

A schedule passes the run's own time as LAB_AS_OF: a clock read from the data would never find that
the data stopped. Without it, "now" is the as-of time of the data.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from exercise_06_monitoring import quality, serving, windows
from exercise_06_monitoring.alerts import SEVERITIES, Check, notify
from exercise_06_monitoring.bins import bin_counts, independent_rows, read_column
from exercise_06_monitoring.report import DriftAlerts, drift_checks, grade_drift, write_report
from exercise_06_monitoring.state import AlertState, check_measured, earlier_runs, record_run
from exercise_06_monitoring.windows import drift_windows, features_of, read_model, read_views
from lab.learn import UserError, as_of, run_script

SIGNIFICANCE = 0.05
KS_MIN_STATISTIC = 0.05  # a million rows make 0.002 significant
MAX_RATES = {"null_rate": 0.05, "outlier_rate": 0.10, "range": 0}  # the brief's
Windows = Callable[[Any, datetime], tuple[pd.DataFrame, pd.DataFrame]]
MoreChecks = Callable[[windows.Tables, datetime], Iterator[Check]]
Publish = Callable[[datetime, list[Check], pd.DataFrame, list[Check]], Path]


# Step 1: drift detection
def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = SIGNIFICANCE
) -> tuple[bool, float, float]:
    """Return (has_drift, statistic, p_value) of the Kolmogorov-Smirnov test of the numbers.

    Drift is a p-value below the threshold and a statistic of at least 0.05. A side without numbers
    gives (False, NaN, NaN).
    """
    reference, current = (read_column(x)[0].dropna() for x in (reference_data, current_data))
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


def measure_drift(
    feature: str, reference: pd.Series, current: pd.Series, units: Sequence[float] | None = None
) -> dict[str, Any]:
    """Return the statistics of one feature; the p-value is of chi-square over bins of both sides.

    Bins of the reference alone would favour it: no row of it lies above its own maximum. `units`
    are the independent rows of each side, all of them by default.
    """
    counts = bin_counts(reference, current, of_both=True)
    rows = counts.sum(axis=1)
    p_value = np.nan
    if rows.all():
        weights = np.array(units or rows) / rows
        p_value = stats.chi2_contingency(counts * weights[:, None]).pvalue
    return {
        "feature": feature,
        "psi": calculate_psi(reference, current),
        "ks": detect_drift_ks_test(reference, current)[1],
        "p_value": p_value,
        "rows_reference": rows[0],
        "rows_current": rows[1],
        "nulls": [pd.isna(side).mean() for side in (reference, current)],
        "shares": (counts / rows[:, None].clip(1)).tolist(),
    }


def monitor_feature_drift(feature_name: str) -> bool:
    """Print the drift of one feature between days -60 to -32 and the last 7; True if it drifted."""
    (row,) = generate_drift_report([feature_name]).to_dict("records")
    print(f"KS {row['ks']:.3f}, PSI {row['psi']:.3f}, q-value {row['q_value']:.2g}")
    return bool(row["has_drift"])


# Step 2: data quality
def check_data_quality(
    feature_data: pd.DataFrame, limits: dict[str, dict[str, float]] | None = None
) -> pd.DataFrame:
    """Return the share of nulls in each column, of outliers and values out of range in each number.

    A text among numbers counts as null. Columns: column, check, value, passed, message, limit.
    `limits` are those of expectations.toml.
    """
    results = []
    table = feature_data.to_pandas() if hasattr(feature_data, "to_pandas") else feature_data
    for name, values in pd.DataFrame(table).items() if len(table) else ():
        limit, (numbers, text) = (limits or {}).get(str(name), {}), read_column(values)
        rates = {"null_rate": quality.is_null(values).mean()}
        if numbers.count() > text.count():
            low, high = limit.get("min", -np.inf), limit.get("max", np.inf)
            rates["outlier_rate"] = quality.outlier_rate(numbers)
            rates["range"] = ((numbers < low) | (numbers > high)).mean()
        for check, rate in rates.items():
            most = limit.get(f"max_{check}", MAX_RATES[check])
            message = f"{check} {rate:.1%}; the limit is {most:.0%}"
            results.append((str(name), check, float(rate), bool(rate <= most), message, most))
    return pd.DataFrame(results, columns=["column", "check", "value", "passed", "message", "limit"])


# Step 3: alerting (serving metrics are in serving.py)
def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> bool:
    """Open an alert and notify its receivers; False if that failed, or it was open already."""
    if severity not in SEVERITIES:
        raise UserError(f"there is no severity {severity}", f"use one of {', '.join(SEVERITIES)}")
    alert = Check(alert_type, feature_name, False, message, severity)
    try:
        return AlertState().open(alert)
    except UserError:  # a damaged database, or a full disk
        notify(alert)
        raise


# Step 4: reports
def generate_drift_report(
    features: list[str], now: datetime | None = None, read_windows: Windows = drift_windows
) -> pd.DataFrame:
    """Return feature, has_drift, psi, severity, and the statistics, since last month, by entity."""
    rows, moment = [], now or as_of()
    for view in read_views():
        reference, current = read_windows(view, moment)
        rows += [measure_drift(name, reference[name], current[name]) for name in features_of(view)]
    if unknown := ", ".join(set(features) - {row["feature"] for row in rows}):
        raise UserError(f"no feature view has {unknown}", "feast feature-views list")
    report = grade_drift(rows, "last month").set_index("feature").loc[features].reset_index()
    print(report[["feature", "has_drift", "psi", "severity"]].to_string(index=False))
    return report


def drift_since_training(
    training: pd.DataFrame, served: pd.DataFrame, baseline: str = "training"
) -> pd.DataFrame:
    """Return the same report since training, of the model's inputs: each row is a request.

    The rows of an entity are correlated: the p-value uses their effective number.
    """
    keys = {name: view.join_keys[0] for view in read_views() for name in features_of(view)}
    sides, rows = (training[training["split"] == "train"], served), []
    for name in read_model()["features"]:
        units = [independent_rows(side[keys.get(name, "user_id")]) for side in sides]
        rows.append(measure_drift(name, sides[0][name], sides[1][name], units))
    return grade_drift(rows, baseline)


@dataclass(frozen=True)
class Monitor:
    """One run of all checks. Production passes other parts."""

    windows: Windows = drift_windows
    alerts: AlertState = field(default_factory=AlertState)
    publish: Publish = write_report
    more_checks: tuple[MoreChecks, ...] = ()
    drift_alerts: DriftAlerts = drift_checks
    check_api: Callable[[], Iterator[Check]] = serving.check_api

    def run(self, now: datetime) -> None:
        """Check everything, open and resolve alerts, write the page.

        A rerun for an earlier time has its own page, and leaves today's alerts unchanged.
        """
        now = now.astimezone(UTC)
        print(f"as of {now:%Y-%m-%d %H:%M} UTC")
        is_newest, last_run = earlier_runs(now)
        views = read_views()
        features = [feature for view in views for feature in features_of(view)]
        since_training, of_predictions = check_model(now)
        drift = pd.concat([generate_drift_report(features, now, self.windows), since_training])
        tables = [(view, windows.read_rows(view, now - 30 * windows.DAY, now)) for view in views]
        checks = [check for table in tables for check in check_table(*table, now, last_run)]
        checks.append(of_predictions)
        checks += self.drift_alerts(drift)
        checks += [check for more in self.more_checks for check in more(tables, now)]
        if is_newest:
            checks += [*serving.check_redis(tables, now), *self.check_api()]
            checks.append(Check("monitoring", "run", True, "this run has ended", "critical"))
            checks += check_measured(checks, self.alerts.group)
            self.alerts.update(checks)
            page = self.publish(now, self.alerts.open_alerts(), drift, checks)
        else:
            failed = [check for check in checks if check.passed is False]
            page = write_report(now, failed, drift, checks, is_rerun=True)
        record_run(now)  # last: after a failed run, the next one checks its rows as well
        print(f"report: {page}")


def check_model(now: datetime) -> tuple[pd.DataFrame, Check]:
    """Return the drift since training, and the check of the users that the model flagged.

    Without a usable model, neither is measured. Four weeks are compared where there are so many.
    """
    try:
        training, week = windows.read_training(), windows.read_requests(now)
        month = windows.read_requests(now, days=28, most=2_500)  # to save time
    except UserError as error:
        check = Check("prediction", "flagged_users", None, str(error), "critical")
        return pd.DataFrame(), check
    drift = drift_since_training(training, week)
    if month["event_timestamp"].min() < now - 27 * windows.DAY:
        of_month = drift_since_training(training, month, "training, 28 days")
        drift = pd.concat([drift, of_month])
    return drift, serving.check_flagged_users(training, week, now)


def check_table(
    view: Any, rows: pd.DataFrame, now: datetime, last_run: datetime | None = None
) -> Iterator[Check]:
    """Check the rows of a view, and the columns of those that arrived within a day."""
    yield from quality.check_view(view, rows, now)
    day = rows[rows["arrived"] > now - windows.DAY]
    results = check_data_quality(day[features_of(view)], quality.expectations(view).get("features"))
    new = rows[rows["arrived"] > (last_run or now)]  # in the first run none
    yield from quality.check_columns(view, results, new)


def main() -> None:
    Monitor().run(as_of())


if __name__ == "__main__":
    run_script(main)
