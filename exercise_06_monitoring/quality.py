"""Check a view against its definition in the registry and the limits in expectations.toml."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset
from pyarrow import types as arrow

from exercise_06_monitoring.bins import as_numbers
from exercise_06_monitoring.windows import table_of
from lab.learn import settings

MAX_AGE_MINUTES = 25 * 60  # of a view without an expectation: a daily table
HAS_TYPE = {
    "Int": arrow.is_integer,
    "Flo": arrow.is_floating,
    "Str": lambda kind: arrow.is_string(kind) or arrow.is_large_string(kind),
}


@dataclass(frozen=True)
class Check:
    """A check of a column or of a whole table; `passed` is None where nothing was measured.

    Not measured is a third state: it opens no alert and resolves none.
    """

    column: str
    check: str
    value: float
    passed: bool | None
    message: str


def expectations(view: Any) -> dict[str, Any]:
    """Return the view's limits: fresh_within_minutes, features; empty without a file of them."""
    file = settings.feature_repo / "expectations.toml"
    limits = tomllib.loads(file.read_text()) if file.exists() else {}
    return dict(limits.get(view.name, {}))


def outlier_rate(values: pd.Series) -> float:
    """Return the share of values outside 1.5 interquartile ranges.

    Where more than half of the values are equal, as the zeros of a rare count, that range is 0 and
    every other value would be an outlier: the quartiles are then those of the other values.
    """
    low, high = values.quantile([0.25, 0.75])
    if low == high:
        others = values[values != low]
        low, high = min(low, others.quantile(0.25)), max(high, others.quantile(0.75))
    margin = 1.5 * (high - low)
    return float(((values < low - margin) | (values > high + margin)).mean())


def log_scale(values: pd.Series) -> pd.Series:
    """Return log(1 + value / median), where long tails are short; negative values unchanged."""
    return np.log1p(values / values[values > 0].median()) if values.min() >= 0 else values


def check_view(view: Any, rows: pd.DataFrame, now: datetime) -> list[Check]:
    """Check the age of the newest row, types, keys and ranges; `now` is the run's own time."""
    limits = expectations(view)
    most = limits.get("fresh_within_minutes", MAX_AGE_MINUTES)
    age = (now - rows["arrived"].max()) / timedelta(minutes=1) if len(rows) else np.inf
    message = f"the newest row arrived {age:,.0f} minutes ago; the limit is {most}"
    checks = [Check("", "freshness", age, age <= most, message)]
    found = {field.name: field.type for field in pyarrow.dataset.dataset(table_of(view)).schema}
    for field in view.features:
        declared, kind = str(field.dtype), found.get(field.name)
        is_right = HAS_TYPE.get(declared[:3], lambda kind: True)
        passed = kind is not None and (is_right(kind) or arrow.is_null(kind))
        message = f"declared as {declared}, the file has {kind or 'no such column'}"
        checks.append(Check(field.name, "type", passed, passed, message))
        limit = limits.get("features", {}).get(field.name, {})
        low, high = limit.get("min", -np.inf), limit.get("max", np.inf)
        if "min" in limit or "max" in limit:
            outside = int((~as_numbers(rows[field.name]).dropna().between(low, high)).sum())
            message = f"{outside} values are outside {low:g} to {high:g}"
            checks.append(Check(field.name, "range", outside, outside == 0, message))
    missing = int(rows["entity"].isna().sum())
    message = f"{missing} rows have no {view.join_keys[0]}"
    return [*checks, Check("", "key", missing, missing == 0, message)]
