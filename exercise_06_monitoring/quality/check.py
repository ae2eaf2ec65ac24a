"""One check of the data: what was measured, and whether it may be so."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

WHOLE_TABLE = ""


@dataclass(frozen=True)
class Check:
    """`value` is a share from 0 to 1, a number of rows or columns, or seconds; see the message."""

    column: str
    check: str
    value: float
    passed: bool
    message: str


def as_table(checks: Iterable[Check]) -> pd.DataFrame:
    """A row for each check: column, check, value, passed, message."""
    return pd.DataFrame(checks, columns=["column", "check", "value", "passed", "message"])
