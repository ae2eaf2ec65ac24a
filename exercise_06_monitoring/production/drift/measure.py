"""Two columns, measured: bins, counts, and the statistics that need the values themselves."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift import statistics
from exercise_06_monitoring.production.drift.bins import (
    BINS,
    count_categories,
    count_sorted,
    edges_of_sorted,
)
from exercise_06_monitoring.production.drift.columns import frequencies, kind_of, sorted_numbers
from exercise_06_monitoring.production.drift.result import Histogram, Kind
from exercise_06_monitoring.production.drift.statistics import Counts, Floats


@dataclass(frozen=True)
class Measured:
    """A feature in two windows: counts per bin of the known values, nulls, rows.

    `edges` are the inner ones of a number's bins, and `span` its least and greatest finite value.
    """

    feature: str
    kind: Kind
    reference: Counts
    current: Counts
    rows: tuple[int, int]
    edges: Floats
    view: str = ""
    span: tuple[float, float] = (np.nan, np.nan)
    labels: tuple[str, ...] = ()
    newcomer: tuple[str, int] | None = None
    ks: float = np.nan
    wasserstein: float = np.nan
    chi_square_p_value: float = np.nan

    @property
    def known(self) -> tuple[int, int]:
        return int(self.reference.sum()), int(self.current.sum())

    @property
    def nulls(self) -> tuple[int, int]:
        return self.rows[0] - self.known[0], self.rows[1] - self.known[1]

    def histogram(self, counts: Counts) -> Histogram:
        """One window's counts as shares, with the edges or labels to draw them by."""
        total = counts.sum()
        shares = tuple(float(count / total) if total else 0.0 for count in counts)
        outer = () if self.labels else (self.span[0], *self.edges.tolist(), self.span[1])
        return Histogram(outer, shares, self.labels)


def measure_all(reference: pd.DataFrame, current: pd.DataFrame, view: str = "") -> list[Measured]:
    """Measure every column of the reference; one that the current window lacks is null there."""
    missing = pd.Series(np.nan, index=current.index)
    pairs = [(name, reference[name], current.get(name, missing)) for name in reference]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy sorts without the interpreter's lock
        measured = pool.map(lambda pair: measure(*pair), pairs)
        return [replace(m, view=view) for m in measured]


def measure(feature: str, reference: pd.Series, current: pd.Series) -> Measured:
    """Measure one feature, whatever its type."""
    rows = (len(reference), len(current))
    kind = kind_of(reference, current)
    if kind == "category":
        return measure_categories(feature, frequencies(reference), frequencies(current), rows)
    values = sorted_numbers(reference), sorted_numbers(current)
    return measure_numbers(feature, kind, *values, rows)


def measure_numbers(
    feature: str, kind: Kind, reference: Floats, current: Floats, rows: tuple[int, int]
) -> Measured:
    """Both sides sorted, without nulls."""
    edges = edges_of_sorted(reference, BINS)
    return Measured(
        feature,
        kind,
        count_sorted(reference, edges),
        count_sorted(current, edges),
        rows,
        edges,
        span=span(reference, current),
        ks=statistics.ks_statistic(reference, current),
        wasserstein=statistics.wasserstein(reference, current),
    )


def measure_categories(
    feature: str, reference: pd.Series, current: pd.Series, rows: tuple[int, int]
) -> Measured:
    """Both sides as the rows of each category, the most frequent first."""
    counts = count_categories(reference, current)
    return Measured(
        feature,
        "category",
        counts.reference,
        counts.current,
        rows,
        np.empty(0),
        labels=counts.labels,
        newcomer=counts.newcomer,
        chi_square_p_value=statistics.chi_square_p_value(counts.reference, counts.current),
    )


def span(reference: Floats, current: Floats) -> tuple[float, float]:
    """The least and the greatest finite value; NaN without any."""
    finite = [values[np.isfinite(values)] for values in (reference, current)]
    ends = [end for values in finite if len(values) for end in (values[0], values[-1])]
    return (float(min(ends)), float(max(ends))) if ends else (np.nan, np.nan)
