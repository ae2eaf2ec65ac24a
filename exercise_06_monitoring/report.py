"""Write the page of a day: open alerts, drift of every feature, quality and serving checks."""

from datetime import datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from exercise_06_monitoring.alerts import Check, monitoring_folder

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


def write_report(
    now: datetime,
    alerts: list[Check],
    drift: pd.DataFrame,
    checks: list[Check],
    name: str = "report_%Y-%m-%d.html",
) -> Path:
    """Write data/monitoring/report_<day>.html; a later run of the day replaces it."""
    file = monitoring_folder() / now.strftime(name)
    temp_path, rows = file.with_suffix(".tmp"), drift.to_dict("records")
    page = PAGES.get_template("report.html.j2")
    temp_path.write_text(page.render(now=now, alerts=alerts, drift=rows, checks=checks))
    return temp_path.replace(file)
