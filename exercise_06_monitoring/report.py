"""Write the page of a day: open alerts, drift of every feature, quality and serving checks."""

import io
from datetime import datetime
from pathlib import Path

import matplotlib
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from exercise_06_monitoring.alerts import Alert, monitoring_folder
from exercise_06_monitoring.quality import Check

# The same data give the same page, and text in a figure stays text.
matplotlib.rcParams.update({"svg.hashsalt": "feature-monitoring", "svg.fonttype": "none"})
COLORS = {"high": "#c0392b", "medium": "#d68910", "low": "#2e86ab", "unknown": "#95a5a6"}
PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


def write_report(
    now: datetime, alerts: list[Alert], drift: pd.DataFrame, checks: dict[str, list[Check]]
) -> Path:
    """Write data/monitoring/report_<day>.html; a later run of the day replaces it."""
    file = monitoring_folder() / f"report_{now:%Y-%m-%d}.html"
    temp_path = file.with_suffix(".tmp")
    rows = drift.to_dict("records")
    page = PAGES.get_template("report.html.j2")
    temp_path.write_text(
        page.render(now=now, alerts=alerts, drift=rows, figure=draw_psi(drift), checks=checks)
    )
    return temp_path.replace(file)


def draw_psi(drift: pd.DataFrame) -> Markup:
    """Return an SVG of each feature's PSI and the brief's two limits."""
    figure = Figure(figsize=(9, 1 + 0.22 * len(drift)), layout="constrained")
    axes, buffer = figure.subplots(), io.StringIO()
    axes.barh(drift["feature"], drift["psi"].fillna(0), color=drift["severity"].map(COLORS))
    for limit in (0.1, 0.25):
        axes.axvline(limit, color="#555", linewidth=0.8, linestyle="--")
    axes.invert_yaxis()
    axes.set_xlabel("PSI, last 7 days against days -60 to -32")
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Markup(buffer.getvalue()[buffer.getvalue().index("<svg") :])
