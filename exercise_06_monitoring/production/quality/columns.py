"""What can be said of a table without knowing what it means: nulls, infinities, outliers."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.check import WHOLE_TABLE, Check, counted
from exercise_06_monitoring.production.quality.outliers import outliers
from lab.settings import settings


def check_columns(
    table: pd.DataFrame,
    *,
    null_limits: dict[str, float] | None = None,
    outlier_limits: dict[str, float] | None = None,
) -> list[Check]:
    """Every column's rates against the limits; those of the settings where none is given.

    An empty table fails: nothing can be said of its columns.
    """
    if table.empty:
        return [Check(WHOLE_TABLE, "row_count", 0, False, "there are no rows")]
    checks: list[Check] = []
    for position, column in enumerate(map(str, table.columns)):
        values = table.iloc[:, position]
        null_limit = (null_limits or {}).get(column, settings.null_rate_limit)
        outlier_limit = (outlier_limits or {}).get(column, settings.outlier_rate_limit)
        checks.append(_null_rate(column, values, null_limit))
        if _is_number(values):
            checks += _number_checks(column, values, outlier_limit)
    return checks


def _null_rate(column: str, values: pd.Series, limit: float) -> Check:
    rate = float(values.isna().mean())
    return Check(
        column, "null_rate", rate, rate <= limit, f"{rate:.1%} are null, at most {limit:.0%} may be"
    )


def _is_number(values: pd.Series) -> bool:
    is_numeric = pd.api.types.is_numeric_dtype(values)
    return bool(
        is_numeric
        and not pd.api.types.is_bool_dtype(values)
        and not pd.api.types.is_complex_dtype(values)
    )


def _number_checks(column: str, values: pd.Series, limit: float) -> Iterator[Check]:
    known = values.dropna().to_numpy(dtype=np.float64)
    finite = known[np.isfinite(known)]
    infinite = len(known) - len(finite)
    if infinite:
        yield Check(column, "infinite", infinite, False, f"{counted(infinite, 'infinite value')}")
    found = outliers(finite)
    is_usual = found.tukey <= limit
    yield Check(
        column,
        "outlier_rate",
        found.tukey,
        is_usual or (found.robust is not None and found.robust <= limit),
        f"{found.tukey:.1%} lie outside 1.5 interquartile ranges, at most {limit:.0%} may"
        + ("" if is_usual or found.robust is None else "; its tail is long, see the next rule"),
    )
    if found.robust is not None:
        yield Check(
            column,
            "outlier_rate_log",
            found.robust,
            found.robust <= limit,
            f"{found.robust:.1%} are outliers of its logarithm, at most {limit:.0%} may be",
        )
