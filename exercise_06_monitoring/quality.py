"""Check a view against its definition in the registry and the limits in expectations.toml."""

import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset
from pyarrow import types as arrow
from scipy import stats

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.bins import read_column
from exercise_06_monitoring.windows import DAY, table_of
from lab.learn import UserError, settings

MAX_AGE_MINUTES = 25 * 60  # of a view without an expectation: a daily table
CHANCE = 0.001
HAS_TYPE = {
    "Int": arrow.is_integer,
    "Flo": arrow.is_floating,
    "Str": lambda kind: arrow.is_string(kind) or arrow.is_large_string(kind),
}


def expectations(view: Any) -> dict[str, Any]:
    """Return the view's limits: fresh_within_minutes, features; empty without a file of them."""
    file = settings.feature_repo / "expectations.toml"
    try:
        limits = tomllib.loads(file.read_text()) if file.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file} is no TOML: {error}", "correct it") from error
    return dict(limits.get(view.name, {}))


def outlier_rate(values: pd.Series) -> float:
    """Return the share of values outside 1.5 interquartile ranges.

    A healthy long tail has few outliers among its logarithms: the smaller share counts.
    """
    positive = values[values > 0]
    logarithms = np.log1p(values / positive.median()) if values.min() >= 0 else values
    return min(_share_outside(values), _share_outside(logarithms))


def _share_outside(values: pd.Series) -> float:
    """Use the quartiles of the other values where half are equal, as the zeros of a rare count."""
    low, high = values.quantile([0.25, 0.75])
    if low == high:
        others = values[values != low]
        low, high = min(low, others.quantile(0.25)), max(high, others.quantile(0.75))
    margin = 1.5 * (high - low)
    return float(((values < low - margin) | (values > high + margin)).mean())


def check_view(view: Any, rows: pd.DataFrame, now: datetime) -> Iterator[Check]:
    """Check freshness, the keys that arrived within a day, and types; `now` is the run's time."""
    most = expectations(view).get("fresh_within_minutes", MAX_AGE_MINUTES)
    age = (now - rows["arrived"].max()) / timedelta(minutes=1) if len(rows) else np.inf
    message = f"the newest row arrived {age:,.0f} minutes ago; the limit is {most}"
    yield check_of(view, "freshness", age <= most, message, "critical")
    no_key = rows.loc[rows["arrived"] > now - DAY, "entity"].isna()
    passed = not no_key.any() if len(no_key) else None
    message = f"{no_key.sum()} rows have no {view.join_keys[0]}"
    yield check_of(view, "key", passed, message, "critical")
    types = {field.name: field.type for field in pyarrow.dataset.dataset(table_of(view)).schema}
    for field in view.features:
        declared, found = str(field.dtype), types.get(field.name)
        has_type = HAS_TYPE.get(declared[:3], lambda kind: True)
        passed = found is not None and (has_type(found) or arrow.is_null(found))
        message = f"declared as {declared}, the file has {found or 'no such column'}"
        yield check_of(view, f"{field.name}.type", passed, message, "critical")


def is_null(values: pd.Series) -> pd.Series:
    """Return which values are missing; among numbers a text is, too."""
    numbers, text = read_column(values)
    return numbers.isna() if numbers.count() > text.count() else values.isna()


def check_columns(view: Any, results: pd.DataFrame, new: pd.DataFrame) -> Iterator[Check]:
    """Yield a check for each result of a day, and of the nulls since the last run, the `new` rows.

    These fail where chance, at the limit's rate, gives so many in one run of a thousand.
    """
    for row in results.itertuples():
        is_failed, message, severity = not row.passed, row.message, "warning"
        if row.check == "null_rate":
            nulls, rows = int(is_null(new[row.column]).sum()), len(new)
            is_new_fault = stats.binom.sf(nulls - 1, rows, row.limit) < CHANCE
            is_everything = row.value == 1 or (is_new_fault and nulls == rows)
            severity = "critical" if is_everything else "warning"
            message += f"; {nulls} of {rows} rows since the last run"
            is_failed |= is_new_fault
        yield check_of(view, f"{row.column}.{row.check}", not is_failed, message, severity)


def check_of(
    view: Any, subject: str, passed: bool | None, message: str, severity: str = "warning"
) -> Check:
    """Return a check of a view or of one of its features; numpy's booleans become Python's."""
    result = None if passed is None else bool(passed)
    return Check("data_quality", f"{view.name}.{subject}", result, message, severity)
