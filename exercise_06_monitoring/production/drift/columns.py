"""The values of a column, as the statistics need them."""

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift.result import Kind
from exercise_06_monitoring.production.drift.statistics import Floats


def kind_of(reference: pd.Series, current: pd.Series) -> Kind:
    """By type; booleans are categories, and a column without any known value counts as a number."""
    known = reference if reference.notna().any() else current
    if pd.api.types.is_datetime64_any_dtype(known.dtype):
        return "time"
    if pd.api.types.is_numeric_dtype(known.dtype) and not pd.api.types.is_bool_dtype(known.dtype):
        return "number"
    return "category" if known.notna().any() else "number"


def numbers(series: pd.Series) -> Floats:
    """As float64, nulls as NaN: times in seconds since 1970; what cannot be a number is null."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        epoch = pd.Timestamp(0, tz=series.dt.tz)
        series = (series - epoch).dt.total_seconds()
    elif not pd.api.types.is_numeric_dtype(series.dtype):
        series = pd.to_numeric(series, errors="coerce")
    values: Floats = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def sorted_numbers(series: pd.Series) -> Floats:
    """The known ones in ascending order."""
    values = np.sort(numbers(series))
    return values[: np.searchsorted(values, np.nan)]


def frequencies(series: pd.Series) -> pd.Series:
    """How often each known value comes up, as text, the most frequent first."""
    return series.dropna().astype(str).value_counts()
