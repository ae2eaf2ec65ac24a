"""A table with planted nulls and outliers, and what a submission reports on its columns."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from checker.monitoring.windows import RANGES, values_of

ROWS, PLANTED = 1_200, (150, 200)
CONSTANT, TEXT = "refund_rate", "home_city"
NULLS, OUTLIERS = "nulls", "outliers"
WORDS = {NULLS: ("null", "missing", "nan"), OUTLIERS: ("outlier",)}
RATE_TOLERANCE = 0.01
ABOVE, BELOW = 50, -3  # outliers, by the largest other value; a rate then lies between -1 and 0
CLEAN_TOLERANCE = 0.02  # a clean column may have values that some rule calls outliers


@dataclass(frozen=True)
class Finding:
    """One report on a column: the check, its value, and whether it passed, if reported."""

    column: str
    check: str
    value: object
    passed: object = None

    def is_about(self, fault: str) -> bool:
        return any(word in self.check.lower() for word in WORDS[fault])


@dataclass
class PlantedTable:
    """The table, and for each fault the share of rows that have it, by column."""

    rows: pd.DataFrame
    shares: dict[str, dict[str, float]] = field(default_factory=lambda: {NULLS: {}, OUTLIERS: {}})


def planted_table(seed: int) -> PlantedTable:
    """Nulls in three columns, outliers in a rate and in a larger number, both in one of the two.

    The outliers of one column are above all other values, those of the other are below them.
    """
    random = np.random.default_rng([seed, 62])
    names = [name for name in RANGES if name != CONSTANT]
    columns: dict[str, Any] = {name: random.permutation(values_of(name, ROWS)) for name in names}
    columns[CONSTANT] = np.full(ROWS, 0.02)
    columns[TEXT] = random.choice(["Lagos", "Lima", "Lyon"], ROWS).astype(object)
    planted = PlantedTable(pd.DataFrame(columns))
    rates = [name for name in names if RANGES[name][1] < 1]
    numbers = random.permutation([name for name in names if name not in rates])
    only_nulls = numbers[0]
    only_outliers, both = random.permutation([numbers[1], random.choice(rates)])
    for name, factor in zip((only_outliers, both), random.permutation([ABOVE, BELOW]), strict=True):
        _plant(planted, OUTLIERS, name, factor * RANGES[name][1], random)
    for name in (only_nulls, both, TEXT):
        _plant(planted, NULLS, name, None, random)
    return planted


def _plant(
    planted: PlantedTable, fault: str, column: str, value: float | None, random: np.random.Generator
) -> None:
    """Put `value` into some rows, and never over a fault that is there already."""
    values = planted.rows[column]
    is_free = values.between(*RANGES[column]) if column in RANGES else values.notna()
    free = planted.rows.index[is_free]
    chosen = random.choice(free, random.integers(*PLANTED), replace=False)
    planted.rows.loc[chosen, column] = value
    planted.shares[fault][column] = len(chosen) / ROWS


def quality_results(returned: Any, ours: dict[str, str]) -> list[Finding]:
    """Return the results of check_data_quality, in any form; `ours` are our names of columns."""
    if isinstance(returned, pd.DataFrame):
        returned = returned.astype(object).to_dict("records")
    if isinstance(returned, dict):
        returned = [
            {**facts, "column": n} for n, facts in returned.items() if isinstance(facts, dict)
        ]
    records = returned if isinstance(returned, list) else []
    return [
        finding for record in records if isinstance(record, dict) for finding in _of(record, ours)
    ]


def _of(record: dict[str, Any], ours: dict[str, str]) -> Iterator[Finding]:
    column = ours.get(str(record.get("column")), "")
    if "check" in record:
        yield Finding(column, str(record["check"]), record.get("value"), record.get("passed"))
        return
    for name, value in record.items():
        yield Finding(column, str(name), value)


def mistakes(planted: PlantedTable, found: list[Finding]) -> Iterator[tuple[str, float, str]]:
    """Yield each column and fault with a wrong report: the right share, and the reported one."""
    for column, fault in product(planted.rows, (NULLS, OUTLIERS)):
        if (column, fault) == (TEXT, OUTLIERS):
            continue
        about = [f for f in found if f.column == column and f.is_about(fault)]
        share = planted.shares[fault].get(column, 0.0)
        present = 1 - planted.shares[NULLS].get(column, 0.0) if fault == OUTLIERS else 1.0
        if not (_has_rate(about, share, present) and _has_verdict(about, bool(share))):
            yield f"{fault} of {column}", share, _reported(about)


def _has_rate(about: list[Finding], share: float, present: float) -> bool:
    """Return whether a rate is the share of all rows, or of those that are not null."""
    tolerance = RATE_TOLERANCE if share else CLEAN_TOLERANCE
    rates = [float(f.value) for f in about if isinstance(f.value, int | float | np.number)]
    rights = (share, share / present)
    return any(abs(rate - right) <= tolerance for rate, right in product(rates, rights))


def _has_verdict(about: list[Finding], is_planted: bool) -> bool:
    """Return whether a check failed exactly where it should, if verdicts are given at all."""
    verdicts = [bool(f.passed) for f in about if isinstance(f.passed, int | float | np.bool_)]
    return not verdicts or (False in verdicts) is is_planted


def _reported(about: list[Finding]) -> str:
    return "; ".join(f"{f.check} {f.value}, passed {f.passed}" for f in about) or "nothing"


def damaged_schemas(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the table with a violation of its schema each."""
    column = next(iter(RANGES))
    return {
        "a missing column": rows.drop(columns=column),
        "a renamed column": rows.rename(columns={column: "amount_in_words"}),
        "numbers as text": rows.assign(**{column: rows[column].astype(str)}),
    }


def reports_schema(found: list[Finding]) -> bool:
    """Return True if a check failed that is about neither nulls nor outliers."""
    return any(f.passed is False and not (f.is_about(NULLS) or f.is_about(OUTLIERS)) for f in found)
