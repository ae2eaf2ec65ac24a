"""Exercise 6: is what the feature store serves still what the models were trained on?

Run it with `lab run 6`. It compares the features of the last week with those of a month before,
checks the data that arrived and the serving side, sends what is wrong to whoever should know, and
writes a report.
"""

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from exercise_06_monitoring.production.alerts.announce import announce
from exercise_06_monitoring.production.alerts.notice import Alert, Severity
from exercise_06_monitoring.production.check import Check, as_table, counted
from exercise_06_monitoring.production.drift import FeatureDrift, detect_drift, statistics
from exercise_06_monitoring.production.drift.columns import sorted_numbers
from exercise_06_monitoring.production.drift.psi import psi_of
from exercise_06_monitoring.production.findings import (
    DRIFT,
    NEXT_STEPS,
    QUALITY,
    SERVING,
    check_alerts,
    drift_alerts,
)
from exercise_06_monitoring.production.quality.columns import check_columns
from exercise_06_monitoring.production.report.write import write_report
from exercise_06_monitoring.production.watch import monitored_features, watch_drift, watch_quality
from lab import dataset
from lab.errors import UserError, run_script
from lab.settings import settings

console = Console()


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = 0.05
) -> tuple[bool, float, float]:
    """Kolmogorov and Smirnov's test: (has_drift, statistic, p_value).

    With enough rows the test calls a difference significant that nobody would notice: 1,000,000 a
    side at a statistic of 0.0019. So drift is a p-value below `threshold` and a statistic of at
    least 0.05. Nulls are left out; without a known value on both sides there is no drift, and the
    statistic and the p-value are NaN.
    """
    reference, current = sorted_numbers(reference_data), sorted_numbers(current_data)
    statistic = statistics.ks_statistic(reference, current)
    rows = np.array([len(reference)]), np.array([len(current)])
    p_value = float(statistics.ks_p_value(np.array([statistic]), *rows)[0])
    has_drift = p_value < threshold and statistic >= settings.drift_ks_least
    return has_drift, statistic, p_value


def calculate_psi(reference_data: pd.Series, current_data: pd.Series, num_bins: int = 10) -> float:
    """The Population Stability Index: below 0.1 little has changed, above 0.25 much has.

    Bins are the reference's quantiles and open at both ends; a value that fills a whole bin has one
    of its own, and so have nulls. Each bin counts half an observation more than it has, so that an
    emptied one does not weigh without limit. NaN if either side has no rows.
    """
    if num_bins < 2:
        raise ValueError(f"a distribution needs at least 2 bins, not {num_bins}")
    return psi_of(reference_data, current_data, num_bins)


def monitor_feature_drift(feature_name: str) -> bool:
    """Compare a feature's last week with four weeks that ended a month ago; True if it drifted."""
    (drift,) = detect_drift([feature_name])
    show(drift)
    return drift.has_drift


def show(drift: FeatureDrift) -> None:
    """The test, the index, and what follows."""
    console.print(f"[bold]{drift.feature}[/] ({drift.view})", highlight=False)
    console.print(
        f"  {drift.rows_reference:,} entities then, {drift.rows_current:,} now; "
        f"KS {drift.ks_statistic:.3f} (q {drift.q_value:.2g}); "
        f"PSI {drift.psi:.3f}, up to {drift.psi_threshold:.3f} is usual here",
        highlight=False,
    )
    if drift.ended:
        console.print(f"  its rows end {counted(drift.ended, 'day')} ago: compared as of then")
    for reason in drift.reasons or ("no drift",):
        console.print(f"  {reason}", highlight=False)


def check_data_quality(feature_data: pd.DataFrame) -> pd.DataFrame:
    """Rates of nulls and outliers of every column: column, check, value, passed, message, limit.

    Outliers are those of the brief's rule, but a long tail that is healthy passes: it is judged on
    a logarithmic scale. What a view's own definition and expectations.toml say besides, its types,
    ranges, keys and freshness, is checked where the view is known: see quality/views.py.
    """
    checks = check_columns(feature_data)
    show_checks("this table", checks)
    return as_table(checks)


def show_checks(name: str, checks: list[Check]) -> None:
    """How many there were, those that failed, and why nothing was measured if nothing was."""
    measured, failed = [c for c in checks if c.is_measured], [c for c in checks if not c.passed]
    told = f"{counted(len(measured), 'check')}, {len(failed) or 'none'} failed"
    told = escape(told if measured else checks[0].message)
    console.print(f"    {name}: {told}", highlight=False, style="red" if failed else None)
    for check in failed:
        column = f"{check.column}: " if check.column else ""
        console.print(f"      {escape(column + check.message)}", highlight=False, soft_wrap=True)
        if check.check in NEXT_STEPS:
            console.print(f"        {NEXT_STEPS[check.check]}", highlight=False, soft_wrap=True)


def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> bool:
    """Tell whoever should know; False if they were told of the same within the cool-down.

    Warnings go to Slack and email, what is critical to PagerDuty too, everything to the console. A
    receiver that is away gets it at the next run.
    """
    if severity not in list(Severity):
        raise UserError(f"there is no severity {severity}", f"take one of {', '.join(Severity)}")
    return bool(announce([Alert(alert_type, feature_name, message, Severity(severity))]))


def generate_drift_report(features: list[str]) -> pd.DataFrame:
    """Which features have drifted: feature, has_drift, psi, severity; and the report's page."""
    as_of = dataset.as_of()
    drifts = watch_drift(features, as_of)
    report = pd.DataFrame(
        [(d.feature, d.has_drift, d.psi, d.severity) for d in drifts],
        columns=["feature", "has_drift", "psi", "severity"],
    )
    console.print(report.to_string(index=False, float_format="{:.3f}".format), highlight=False)
    console.print(f"  written: {write_report(as_of)}", highlight=False)
    return report


def main() -> None:
    as_of, features = dataset.as_of(), monitored_features()
    console.print(f"Exercise 6: {len(features)} features as of {as_of:%d %B %Y, %H:%M} UTC")
    with console.status("comparing the windows"):
        drifts = watch_drift(features, as_of)
    for drift in drifts:
        if drift.has_drift:
            show(drift)
    console.print(f"  {sum(d.has_drift for d in drifts)} of {len(drifts)} features have drifted")
    with console.status("checking the data and the serving side"):
        quality, serving = watch_quality(as_of)
    console.print("  the data that arrived in a day")
    for view, checks in quality.items():
        show_checks(view, checks)
    console.print("  the serving side")
    for part, checks in serving.items():
        show_checks(part, checks)
    announce(
        [
            *drift_alerts(drifts),
            *check_alerts(QUALITY, quality),
            *check_alerts(SERVING, serving),
        ],
        looked_at={DRIFT, QUALITY, SERVING},
    )
    console.print(f"  written: {write_report(as_of)}", highlight=False)


if __name__ == "__main__":
    run_script(main)
