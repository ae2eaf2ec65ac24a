"""Compares a submission's values with the right ones, and shows where they differ."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from checker.verdict.outcome import CounterExample, SubmissionError

RELATIVE_TOLERANCE = 1e-6


def equal_values(expected: pd.Series, got: pd.Series) -> pd.Series:
    """Row by row: both null, or numbers equal to float32's precision, or the same text."""
    expected, got = expected.reset_index(drop=True), got.reset_index(drop=True)
    both_null = expected.isna() & got.isna()
    numbers = pd.to_numeric(expected, errors="coerce").astype("float64")
    theirs = pd.to_numeric(got, errors="coerce").astype("float64")
    is_close = np.isclose(numbers, theirs, rtol=RELATIVE_TOLERANCE, atol=RELATIVE_TOLERANCE)
    is_same_text = expected.astype("string").eq(got.astype("string")).fillna(False)
    return both_null | is_close | is_same_text.astype(bool)


def or_constant(expected: pd.Series, got: pd.Series) -> pd.Series:
    """`expected`; where nothing can be known, the constant that `got` has there, if it has one."""
    expected, unknown = expected.reset_index(drop=True), expected.isna().to_numpy()
    constants = got[unknown].dropna().unique()
    if len(constants) != 1:
        return expected
    return expected.astype("object").mask(unknown, constants[0])


def equal_rows(expected: pd.DataFrame, got: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return whether all `columns` of each row agree; a missing column agrees nowhere."""
    agree = pd.Series(True, index=range(len(expected)))
    for column in columns:
        if column not in got:
            return pd.Series(False, index=range(len(expected)))
        agree &= equal_values(expected[column], got[column])
    return agree


def differences(
    expected: pd.DataFrame, got: pd.DataFrame, columns: Sequence[str], of: pd.DataFrame
) -> list[CounterExample]:
    """Up to three rows that disagree, each named by the columns of `of`."""
    examples = []
    wrong = ~equal_rows(expected, got, columns)
    for position in np.flatnonzero(wrong)[:3]:
        column = next(
            (c for c in columns if c in got and not _agrees(expected, got, c, position)), columns[0]
        )
        where = ", ".join(f"{name}={value}" for name, value in of.iloc[position].items())
        given = got[column].iloc[position] if column in got else "no such column"
        examples.append(
            CounterExample(f"{column} at {where}", str(expected[column].iloc[position]), str(given))
        )
    return examples


def _agrees(expected: pd.DataFrame, got: pd.DataFrame, column: str, position: int) -> bool:
    pair = (expected[column].iloc[[position]], got[column].iloc[[position]])
    return bool(equal_values(*pair).iloc[0])


def as_utc(times: pd.Series) -> pd.Series:
    """Times in UTC to the microsecond; zone-less ones are taken as UTC.

    Raises SubmissionError where they are no times.
    """
    try:
        return pd.to_datetime(times, utc=True).dt.as_unit("us")
    except (TypeError, ValueError) as error:
        raise SubmissionError(f"{times.name} holds what is no time: {error}") from error
