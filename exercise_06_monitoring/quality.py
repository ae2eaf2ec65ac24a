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
from exercise_06_monitoring.bins import as_numbers
from exercise_06_monitoring.windows import DAY, table_of
from lab.learn import settings

MAX_AGE_MINUTES = 25 * 60  # of a view without an expectation: a daily table
MAX_UNSEEN_RATE, UNSEEN_CHANCE = 0.05, 0.001
HAS_TYPE = {
    "Int": arrow.is_integer,
    "Flo": arrow.is_floating,
    "Str": lambda kind: arrow.is_string(kind) or arrow.is_large_string(kind),
}


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


def check_view(view: Any, rows: pd.DataFrame, now: datetime) -> Iterator[Check]:
    """Check freshness, types, and the keys and values that arrived within a day.

    `rows` are those of a month; `now` is the run's own time. Without new rows, keys and values are
    not measured.
    """
    is_new = rows["arrived"] > now - DAY
    most = expectations(view).get("fresh_within_minutes", MAX_AGE_MINUTES)
    age = (now - rows["arrived"].max()) / timedelta(minutes=1) if len(rows) else np.inf
    message = f"the newest row arrived {age:,.0f} minutes ago; the limit is {most}"
    yield check_of(view, "freshness", age <= most, message, "critical")
    new = rows[is_new]
    no_key = new["entity"].isna()
    copied = new["copies"][~no_key] > 1
    message = f"{no_key.sum()} rows have no {view.join_keys[0]}"
    yield check_of(view, "key", none_of(no_key), message, "critical")
    message = f"{copied.sum()} rows are in the table more than once"
    yield check_of(view, "unique_key", none_of(copied), message)
    types = {field.name: field.type for field in pyarrow.dataset.dataset(table_of(view)).schema}
    for field in view.features:
        yield check_type(view, field, types.get(field.name))
        yield from check_values(view, field, new, rows[~is_new])


def check_values(
    view: Any, field: Any, new: pd.DataFrame, earlier: pd.DataFrame
) -> Iterator[Check]:
    """Check that categories were seen earlier, and numbers against the range of expectations.

    Where many values belong to one entity, as ids do, unseen ones are usual: the share of such
    entities estimates how many (Good and Turing), and more than chance makes of them is a fault.
    """
    values = new[field.name].dropna()
    if str(field.dtype) == "String" and len(earlier):
        entities = earlier.groupby(field.name)["entity"].nunique()
        usual = ((entities == 1).sum() + 1) / (entities.sum() + 1)
        unseen = int((~values.isin(entities.index)).sum())
        most = stats.binom.isf(UNSEEN_CHANCE, len(values), max(MAX_UNSEEN_RATE, usual))
        message = f"{unseen} of {len(values)} were not seen in the month before; limit {most:.0f}"
        passed = unseen <= most if len(values) else None
        yield check_of(view, f"{field.name}.unseen_rate", passed, message)
    limit = expectations(view).get("features", {}).get(field.name, {})
    if "min" in limit or "max" in limit:
        low, high = limit.get("min", -np.inf), limit.get("max", np.inf)
        outside = ~as_numbers(values).between(low, high)
        message = f"{outside.sum()} values are outside {low:g} to {high:g}"
        yield check_of(view, f"{field.name}.range", none_of(outside), message)


def none_of(faults: pd.Series) -> bool | None:
    """Return True without a fault, and None without a value: nothing was measured."""
    return not faults.any() if len(faults) else None


def check_type(view: Any, field: Any, found: Any) -> Check:
    """Compare the type of a feature in the registry with that of its column, None if missing."""
    declared = str(field.dtype)
    is_right = HAS_TYPE.get(declared[:3], lambda kind: True)
    passed = found is not None and (is_right(found) or arrow.is_null(found))
    message = f"declared as {declared}, the file has {found or 'no such column'}"
    return check_of(view, f"{field.name}.type", passed, message, "critical")


def check_columns(view: Any, results: pd.DataFrame, new: pd.DataFrame) -> Iterator[Check]:
    """Yield a check for each result of a day; the nulls of the `new` rows of an hour count, too.

    They fail where chance, at the limit's rate, gives so many in one run of a thousand.
    """
    for row in results.itertuples():
        is_failed, message, severity = not row.passed, row.message, "warning"
        if row.check == "null_rate":
            nulls, rows = int(new[row.column].isna().sum()), len(new)
            chance = stats.binom.sf(nulls - 1, rows, row.limit)
            message += f"; {nulls} of {rows} rows since the last run"
            is_failed |= chance < 0.001
            is_everything = row.value == 1 or (chance < 0.001 and nulls == rows)
            severity = "critical" if is_everything else "warning"
        yield check_of(view, f"{row.column}.{row.check}", not is_failed, message, severity)


def check_of(
    view: Any, subject: str, passed: bool | None, message: str, severity: str = "warning"
) -> Check:
    """Return a check of a view or of one of its features; numpy's booleans become Python's."""
    result = None if passed is None else bool(passed)
    return Check("data_quality", f"{view.name}.{subject}", result, message, severity)
