"""Writes the report: a page, the same as JSON, and metrics; each replaces its predecessor whole."""

import json
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from exercise_06_monitoring.production.database import folder
from exercise_06_monitoring.production.report.content import read_content
from exercise_06_monitoring.production.report.exposition import write_metrics
from exercise_06_monitoring.production.report.page import render


def write_report(as_of: datetime) -> Path:
    """The report of a day, as far as it is known; returns the page."""
    content = read_content(as_of)
    page = folder() / f"report_{as_of:%Y-%m-%d}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    _replace(page, render(content))
    _replace(page.with_suffix(".json"), json.dumps(_plain(content.to_json()), indent=2) + "\n")
    write_metrics(content, folder() / "metrics.prom")
    return page


def _plain(value: Any) -> Any:
    """What JSON knows: no NaN, no infinity, times as text."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.rename(file)
