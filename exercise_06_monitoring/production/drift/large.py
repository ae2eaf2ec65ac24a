"""Tables that do not fit into memory: bins from a sample, counts in DuckDB.

Memory depends on the number of features, not on that of rows. The counts are exact. The bins have
nearly equal shares only, since their edges are a sample's quantiles; PSI is defined for any bins.
The KS statistic is taken at 1,000 such edges, and may miss a thousandth or two of the exact one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift.bins import BINS, edges_of_sorted
from exercise_06_monitoring.production.drift.columns import sorted_numbers
from exercise_06_monitoring.production.drift.compare import judge
from exercise_06_monitoring.production.drift.measure import Measured, measure_categories
from exercise_06_monitoring.production.drift.result import FeatureDrift
from exercise_06_monitoring.production.drift.statistics import Counts, Floats
from lab.dataset.session import count, quoted

SAMPLE_ROWS = 50_000
FINE_BINS = 1_000
FEATURES_AT_ONCE = 10
SEED = 7
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "U", "FLOAT", "DOUBLE", "DECIMAL")

COUNT = """{{
    'known': count({value}),
    'bins': map_values(histogram({value}, ?::DOUBLE[])),
    'least': min({value}) FILTER (isfinite({value})),
    'greatest': max({value}) FILTER (isfinite({value}))
}}"""

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Edges:
    """The inner edges of a feature's bins, and those of its fine bins, the former among them."""

    coarse: Floats
    fine: Floats


@dataclass(frozen=True)
class Counted:
    """The known values of one side: how many in each fine bin, and the least and the greatest."""

    bins: Counts
    span: tuple[float, float]


def compare_tables(connection: Connection, reference: str, current: str) -> list[FeatureDrift]:
    """Compare every column of two tables or views of a session; rows are taken as independent.

    Times are taken as categories: give their age in seconds.
    """
    columns = connection.execute(f"DESCRIBE FROM {reference}").fetchall()
    numbers = [name for name, kind, *_ in columns if kind.startswith(NUMBERS)]
    rows = count(connection, reference), count(connection, current)
    edges = sampled_edges(connection, numbers, reference)
    before, after = (count_numbers(connection, edges, table) for table in (reference, current))
    measured = {
        name: measure_counts(name, edges[name], before[name], after[name], rows) for name in numbers
    }
    for name, *_ in columns:
        if name not in measured:
            first, second = (frequencies(connection, name, table) for table in (reference, current))
            measured[name] = measure_categories(name, first, second, rows)
    return judge([measured[name] for name, *_ in columns], {})


def sampled_edges(connection: Connection, numbers: Sequence[str], table: str) -> dict[str, Edges]:
    """The edges of each feature, by the quantiles of a sample of the table's rows."""
    if not numbers:
        return {}
    columns = ", ".join(f"{known(name)} AS {quoted(name)}" for name in numbers)
    sample = connection.execute(
        f"SELECT {columns} FROM {table} USING SAMPLE reservoir({SAMPLE_ROWS} ROWS) "
        f"REPEATABLE ({SEED})"
    ).df()
    edges = {}
    for name in numbers:
        values = sorted_numbers(sample[name])
        coarse, fine = (edges_of_sorted(values, bins) for bins in (BINS, FINE_BINS))
        edges[name] = Edges(coarse, np.union1d(coarse, fine))
    return edges


def count_numbers(
    connection: Connection, edges: dict[str, Edges], table: str
) -> dict[str, Counted]:
    """Count the known values of each feature, some features in one pass over the table."""
    found: dict[str, Counted] = {}
    names = list(edges)
    for start in range(0, len(names), FEATURES_AT_ONCE):
        together = names[start : start + FEATURES_AT_ONCE]
        asked = ", ".join(COUNT.format(value=known(name)) for name in together)
        fine = [edges[name].fine.tolist() for name in together]
        answers = connection.execute(f"SELECT {asked} FROM {table}", fine).fetchall()[0]
        found |= {
            name: counted(answer, edges[name])
            for name, answer in zip(together, answers, strict=True)
        }
    return found


def counted(found: dict[str, Any], edges: Edges) -> Counted:
    """What DuckDB found of a feature; what is above the last edge it may leave out."""
    bins = (found["bins"] or [0] * len(edges.fine))[: len(edges.fine)]
    span = (np.nan, np.nan) if found["least"] is None else (found["least"], found["greatest"])
    return Counted(np.array([*bins, found["known"] - sum(bins)]), span)


def known(name: str) -> str:
    """A number in SQL; NaN is null, as it is elsewhere."""
    value = f"{quoted(name)}::DOUBLE"
    return f"(CASE WHEN NOT isnan({value}) THEN {value} END)"


def measure_counts(
    name: str, edges: Edges, reference: Counted, current: Counted, rows: tuple[int, int]
) -> Measured:
    """From counts in fine bins; how values lie between two edges is not known."""
    sides = reference.bins, current.bins
    least = float(np.fmin(reference.span[0], current.span[0]))
    greatest = float(np.fmax(reference.span[1], current.span[1]))
    f, g = (np.cumsum(side)[:-1] / max(side.sum(), 1) for side in sides)
    distance = np.abs(f - g)
    is_known = all(side.sum() > 0 for side in sides)
    starts = [0, *(np.searchsorted(edges.fine, edges.coarse) + 1)]
    coarse_reference, coarse_current = (np.add.reduceat(side, starts) for side in sides)
    return Measured(
        name,
        "number",
        coarse_reference,
        coarse_current,
        rows,
        edges.coarse,
        span=(least, greatest),
        ks=float(distance.max(initial=0)) if is_known else np.nan,
        wasserstein=moved(distance, edges.fine, greatest) if is_known else np.nan,
    )


def moved(distance: Floats, edges: Floats, greatest: float) -> float:
    """The area between two distributions, from their distance at the edges; inf is the greatest."""
    if np.isnan(greatest):
        return 0.0
    finite = np.clip(edges, -np.finfo(np.float64).max, greatest)
    return float((distance * np.diff(finite, append=greatest)).sum())


def frequencies(connection: Connection, name: str, table: str) -> pd.Series:
    """How often each category comes up, the most frequent first."""
    found = connection.execute(
        f"SELECT {quoted(name)}::VARCHAR AS label, count(*) AS n FROM {table} "
        f"WHERE {quoted(name)} IS NOT NULL GROUP BY label ORDER BY n DESC, label"
    ).df()
    return found.set_index("label")["n"]
