"""Two windows of features, some of which drift, as Parquet files.

The features have the shapes in turn. Of the first half each tenth of all has one kind of drift; the
second half has none.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda random, rows: random.normal(100, 20, rows),
    "amount": lambda random, rows: random.lognormal(3, 1, rows),
    "rare_count": lambda random, rows: random.poisson(0.5, rows).astype(np.float64),
    "rate": lambda random, rows: random.beta(2, 50, rows),
    "uniform": lambda random, rows: random.random(rows),
}


def cut_off(values: Floats, share: float, value: float) -> Floats:
    """Replace the first share of the values; their order means nothing."""
    changed = values.copy()
    changed[: int(share * len(values))] = value
    return changed


DRIFTS: dict[str, Callable[[Floats], Floats]] = {
    "shift": lambda values: values + values.std(),
    "spread": lambda values: values.mean() + 2 * (values - values.mean()),
    "cents": lambda values: values * 100,
    "above": lambda values: cut_off(values, 0.3, 2 * values.max()),
    "nulls": lambda values: cut_off(values, 0.2, np.nan),
}


def shapes_and_drifts(features: int) -> dict[str, tuple[str, str]]:
    """Return each feature's name, its shape and its drift; "none" in the second half."""
    shapes, drifts = list(SHAPES), [*DRIFTS, *["none"] * len(DRIFTS)]
    found = {}
    for i in range(features):
        shape, drift = shapes[i % len(shapes)], drifts[i * len(drifts) // features]
        found[f"f{i}_{shape}_{drift}"] = shape, drift
    return found


def write_windows(folder: Path, features: int, rows: int) -> None:
    """Write reference.parquet and current.parquet, of so many rows each."""
    for seed, window in enumerate(("reference", "current")):
        random = np.random.default_rng(seed)
        columns = {}
        for name, (shape, drift) in shapes_and_drifts(features).items():
            values = SHAPES[shape](random, rows)
            is_changed = window == "current" and drift in DRIFTS
            columns[name] = DRIFTS[drift](values) if is_changed else values
        pq.write_table(pa.table(columns), folder / f"{window}.parquet")
