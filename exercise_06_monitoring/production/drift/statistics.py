"""The statistics, from bins and from sorted values; those of bins take many features at once."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

PSEUDO_COUNT = 0.5  # Jeffreys' prior for a share
GRID_POINTS = 4_096


def shares(counts: Floats | Counts, pseudo_count: float = 0.0) -> Floats:
    """Rows of counts as rows of shares; a row of nothing is NaN."""
    smoothed = counts + pseudo_count
    with np.errstate(invalid="ignore"):
        return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True))


def psi(reference: Counts, current: Counts) -> Floats:
    """Population Stability Index of rows of counts, (features, bins) both; NaN without rows.

    Σ (c - r) · ln(c / r) over the bins that are not empty on both sides, each with half an
    observation more: an emptied bin of 10 % of 1,000 rows adds 0.53, and not 2.07 as with an
    epsilon of 1e-10.
    """
    used = (reference + current) > 0
    r, c = (np.where(used, counts + PSEUDO_COUNT, 0.0) for counts in (reference, current))
    r, c = shares(r), shares(c)
    terms = np.where(used, (c - r) * np.log(np.where(used, c, 1) / np.where(used, r, 1)), 0.0)
    is_known = (reference.sum(axis=-1) > 0) & (current.sum(axis=-1) > 0)
    return np.where(is_known, terms.sum(axis=-1), np.nan)


def psi_by_chance(reference: Counts, current: Counts, significance: float) -> Floats:
    """What PSI exceeds with that probability when nothing drifts and rows are independent.

    PSI of B bins is then about chi-square with B - 1 degrees of freedom times (1/n + 1/m): Yurdakul
    and Naranjo, "Statistical properties of the population stability index", 2020.
    """
    bins = ((reference + current) > 0).sum(axis=-1)
    rows, more_rows = reference.sum(axis=-1), current.sum(axis=-1)
    is_known = (rows > 0) & (more_rows > 0)
    scale = 1 / np.maximum(rows, 1) + 1 / np.maximum(more_rows, 1)
    quantile = stats.chi2.ppf(1 - significance, np.maximum(bins - 1, 1))
    return np.where(is_known, quantile * scale, np.nan)


def jensen_shannon(reference: Counts, current: Counts) -> Floats:
    """The Jensen-Shannon distance (base 2) of rows of counts: 0 when equal, 1 when disjoint."""
    is_known = (reference.sum(axis=-1) > 0) & (current.sum(axis=-1) > 0)
    r, c = (np.where(is_known[:, None], counts, 1) for counts in (reference, current))
    return np.where(is_known, jensenshannon(r, c, base=2, axis=1), np.nan)


def chi_square_p_value(reference: Counts, current: Counts) -> float:
    """Of one feature's counts by category, those that are expected too rarely put together."""
    table = np.stack([reference, current])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or 0 in table.sum(axis=1):
        return float("nan")
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = expected < 5
    kept = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    kept = kept[:, kept.sum(axis=0) > 0]
    return float(stats.chi2_contingency(kept).pvalue) if kept.shape[1] > 1 else float("nan")


def proportion_p_value(hits: Counts, rows: Counts, more_hits: Counts, more_rows: Counts) -> Floats:
    """Two-sided, for the difference of two shares; 1 where there is nothing to compare."""
    pooled = (hits + more_hits) / np.maximum(rows + more_rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / more_rows))
        z = (more_hits / more_rows - hits / rows) / deviation
    return np.asarray(np.where(np.isfinite(z), 2 * stats.norm.sf(np.abs(z)), 1.0))


def ks_statistic(reference: Floats, current: Floats) -> float:
    """The greatest distance of two empirical distributions, both given sorted; NaN without rows.

    Exact without looking at every value: on a grid first, then inside those of its cells where a
    distribution may rise so far that the greatest distance is there.
    """
    if len(reference) == 0 or len(current) == 0:
        return float("nan")
    points = grid(reference, current)
    below = [ranks(values, points) for values in (reference, current)]
    f, g = (rank / len(values) for rank, values in zip(below, (reference, current), strict=True))
    best = np.abs(f - g).max()
    can_be_more = np.maximum(f[1:] - g[:-1], g[1:] - f[:-1]) > best
    inside = np.concatenate(
        [
            values[rank[0] : rank[-1]][np.repeat(can_be_more, np.diff(rank))]
            for rank, values in zip(below, (reference, current), strict=True)
        ]
    )
    f, g = (ranks(values, inside) / len(values) for values in (reference, current))
    return float(max(best, np.abs(f - g).max(initial=0.0)))


def ks_p_value(statistic: Floats, rows: Counts, more_rows: Counts) -> Floats:
    """Two-sided and asymptotic, as scipy's `ks_2samp(method="asymp")`; NaN for NaN."""
    n = np.round(rows * more_rows / np.maximum(rows + more_rows, 1))
    return np.asarray(stats.kstwo.sf(statistic, np.maximum(n, 1)))


def wasserstein(reference: Floats, current: Floats) -> float:
    """The mean distance that values move, both given sorted; infinite values are left out.

    Exact up to 4,096 rows a side; above, the distributions are taken as straight between as many
    quantiles.
    """
    reference, current = (values[np.isfinite(values)] for values in (reference, current))
    if len(reference) == 0 or len(current) == 0:
        return float("nan")
    points = grid(reference, current)
    distance = ranks(reference, points) / len(reference) - ranks(current, points) / len(current)
    with np.errstate(over="ignore"):
        return float(np.sum(np.abs(distance[:-1]) * np.diff(points)))


def grid(reference: Floats, current: Floats) -> Floats:
    """Values of both, evenly spaced by rank, the least and the greatest among them."""
    thinned = [
        values[np.unique(np.linspace(0, len(values) - 1, GRID_POINTS).astype(np.int64))]
        for values in (reference, current)
    ]
    points: Floats = np.concatenate(thinned)
    return np.unique(points)


def ranks(values: Floats, points: Floats) -> Counts:
    """How many of the sorted values are at or below each point."""
    return np.searchsorted(values, points, side="right").astype(np.int64, copy=False)


def false_discovery(p_values: Floats) -> Floats:
    """Benjamini and Hochberg's q-values over all features; NaN stays NaN."""
    q_values = np.full(len(p_values), np.nan)
    is_known = ~np.isnan(p_values)
    if is_known.any():
        q_values[is_known] = stats.false_discovery_control(p_values[is_known])
    return q_values
