"""One check: what was measured, and whether it may be so."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

WHOLE_TABLE = ""


@dataclass(frozen=True)
class Check:
    """`value` is a share from 0 to 1, a number of rows or columns, or seconds; see the message.

    NaN is what could not be measured: that passes, and the message says why.
    """

    column: str
    check: str
    value: float
    passed: bool
    message: str
    limit: float | None = None

    @property
    def is_measured(self) -> bool:
        return not math.isnan(self.value)


def not_measured(check: str, why: str) -> Check:
    """Nothing to judge, which is said, and is no alarm."""
    return Check(WHOLE_TABLE, check, math.nan, True, f"not measured: {why}")


def as_table(checks: Iterable[Check]) -> pd.DataFrame:
    """A row for each check: column, check, value, passed, message, limit."""
    return pd.DataFrame(checks, columns=["column", "check", "value", "passed", "message", "limit"])


def counted(number: int, what: str) -> str:
    """1 check, 2 checks."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def duration(seconds: float) -> str:
    """A span of time in the unit that suits it."""
    if math.isinf(seconds):
        return "never"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86_400
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{hours:.3g} h" if hours < 48 else f"{days:.3g} days"
