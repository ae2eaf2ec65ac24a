"""The checks, by numpy and polars alone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import polars.selectors as cs

DATA = Path(os.environ.get("LAB_FEATURE_REPO", "."), "data")
TABLES = ("user_stats", "merchant_stats", "product_stats")
WINDOWS = {"reference": (60, 30), "current": (7, 0)}  # ages in days
DRIFT, MODERATE = 0.25, 0.1
MOST_NULLS, MOST_OUTLIERS = 0.05, 0.1


def detect_drift_ks_test(reference_data, current_data, threshold=0.05):
    """Return the distance of two distribution functions, and Kolmogorov's limit of its p-value."""
    first, second = np.sort(reference_data), np.sort(current_data)
    everything = np.concatenate([first, second])
    shares = [np.searchsorted(x, everything, side="right") / len(x) for x in (first, second)]
    distance = np.abs(shares[0] - shares[1]).max()
    scaled = distance * np.sqrt(len(first) * len(second) / len(everything))
    p_value = kolmogorov(scaled)
    return bool(p_value < threshold), float(distance), p_value


def kolmogorov(scaled):
    """Return the probability of a greater distance; the series does not converge below 0.2."""
    if scaled < 0.2:
        return 1.0
    k = np.arange(1, 101)
    series = 2 * ((-1.0) ** (k - 1) * np.exp(-2 * (k * scaled) ** 2)).sum()
    return float(np.clip(series, 0, 1))


def calculate_psi(reference_data, current_data, num_bins=10):
    """Compare shares of bins that have equal shares in the reference; one more count for each."""
    reference, current = np.asarray(reference_data), np.asarray(current_data)
    edges = np.unique(np.quantile(reference, np.arange(1, num_bins) / num_bins))
    shares = []
    for values in (reference, current):
        counts = np.bincount(np.digitize(values, edges), minlength=len(edges) + 1) + 1
        shares.append(counts / counts.sum())
    before, after = shares
    return float(np.dot(after - before, np.log(after / before)))


def column_of(feature):
    """Return a lazy table of the times and values of a feature."""
    for table in TABLES:
        rows = pl.scan_parquet(DATA / f"{table}.parquet")
        if feature in rows.collect_schema():
            return rows.select("event_timestamp", feature).drop_nulls()
    raise KeyError(feature)


def generate_drift_report(features):
    now = datetime.now(UTC)
    rows = []
    for feature in features:
        age = now - pl.col("event_timestamp")
        values = [
            column_of(feature)
            .filter(age.is_between(timedelta(days=newest), timedelta(days=oldest), closed="left"))
            .collect()[feature]
            .to_numpy()
            for oldest, newest in WINDOWS.values()
        ]
        psi = calculate_psi(*values)
        severity = "high" if psi > DRIFT else "medium" if psi > MODERATE else "low"
        rows.append((feature, psi > DRIFT, psi, severity))
    return pd.DataFrame(rows, columns=["feature", "has_drift", "psi", "severity"])


def check_data_quality(feature_data):
    """Return the rates of each column as a row; outliers are far from the middle half."""
    table = pl.from_pandas(feature_data)
    nulls = table.fill_nan(None).null_count() / len(table)
    numbers = table.select(cs.numeric())
    low, high = numbers.quantile(0.25), numbers.quantile(0.75)
    found = []
    for name in table.columns:
        rate = float(nulls[name][0])
        row = {"column": name, "check": "null_rate", "value": rate}
        found.append(row | {"passed": rate < MOST_NULLS})
        if name in numbers.columns:
            width = 5 * (high[name][0] - low[name][0])
            inside = table[name].is_between(low[name][0] - width, high[name][0] + width)
            rate = float((~inside).sum() / len(table))
            row = {"column": name, "check": "outlier_rate", "value": rate}
            found.append(row | {"passed": rate < MOST_OUTLIERS})
    return found
