"""Grade the measured drift, and write the page of a day: open alerts, drift, all checks."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from scipy import stats

from exercise_06_monitoring.alerts import Check, monitoring_folder, replace_file

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
PSI_MODERATE, PSI_SIGNIFICANT = 0.1, 0.25  # the brief's bands
MAX_Q_VALUE = 0.01  # with few entities chance alone gives a PSI above 0.25
PSI_CRITICAL = 2.5  # cents in place of dollars; prices that double stay below
DriftAlerts = Callable[[pd.DataFrame], Iterator[Check]]


def grade_drift(rows: list[dict[str, Any]], baseline: str) -> pd.DataFrame:
    """Return measured features with q_value, has_drift and severity.

    P-values are corrected for the number of features (Benjamini and Hochberg). Severity: high is
    drift; medium is a PSI above 0.1; unknown is a window without rows.
    """
    report = pd.DataFrame(rows).assign(baseline=baseline)
    measured = report["p_value"].notna()
    report.loc[measured, "q_value"] = stats.false_discovery_control(report["p_value"][measured])
    is_certain = report["q_value"] < MAX_Q_VALUE
    report["has_drift"] = is_certain & (report["psi"] > PSI_SIGNIFICANT)
    cases = [~measured, report["has_drift"], is_certain & (report["psi"] > PSI_MODERATE)]
    report["severity"] = np.select(cases, ["unknown", "high", "medium"], "low")
    return report


def drift_checks(report: pd.DataFrame) -> Iterator[Check]:
    """Yield a check for each feature and baseline: a lost one resolves no alert of the other."""
    for row in report.to_dict("records"):
        since = "" if row["baseline"] == "last month" else f" since {row['baseline']}"
        passed = None if row["severity"] == "unknown" else not row["has_drift"]
        severity = "critical" if row["has_drift"] and row["psi"] > PSI_CRITICAL else "warning"
        message = f"PSI {row['psi']:.2f} since {row['baseline']}; limit {PSI_SIGNIFICANT}"
        yield Check("drift", f"{row['feature']}{since}", passed, message, severity)


def write_report(
    now: datetime,
    alerts: list[Check],
    drift: pd.DataFrame,
    checks: list[Check],
    is_rerun: bool = False,
) -> Path:
    """Write data/monitoring/report_<day>.html; a later run of the day replaces it.

    A rerun for an earlier time has a page of its own; `alerts` are then the checks that failed.
    """
    name = "report_%Y-%m-%d_%H%M_again.html" if is_rerun else "report_%Y-%m-%d.html"
    file = monitoring_folder() / now.strftime(name)
    page, rows = PAGES.get_template("report.html.j2"), drift.to_dict("records")
    text = page.render(now=now, alerts=alerts, drift=rows, checks=checks, is_rerun=is_rerun)
    return replace_file(file, text)
