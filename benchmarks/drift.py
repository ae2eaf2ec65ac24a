"""Drift over all features at once: this project's statistics and Evidently's; false alarms."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd

from benchmarks.harness.child import in_child, peak_gib
from benchmarks.harness.drift_windows import shapes_and_drifts, write_windows
from benchmarks.harness.figures import Figure
from benchmarks.harness.peer_process import Peer, environment, peer_process
from benchmarks.harness.timing import alternated, seconds
from exercise_06_monitoring.feature_monitoring import (
    calculate_psi,
    detect_drift_ks_test,
    measure_drift,
)
from exercise_06_monitoring.production.large_tables import ENTITIES
from exercise_06_monitoring.report import PSI_MODERATE
from lab.settings import ROOT, settings

EVIDENTLY, VERSION = "Evidently", "0.7.23"
SIDE = Path(__file__).parent / "harness" / "evidently_side.py"
PSI_BORDER = PSI_MODERATE
LARGE_COLUMNS = 10
FALSE_ALARMS = ROOT / "tests" / "exercise_06" / "false_alarms.json"
AIM_DAYS = 2_400  # of the bound of episodes

Frames = tuple[pd.DataFrame, pd.DataFrame]
Values = dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """Features and rows of a window; `large_…` are of the run in bounded memory."""

    features: int = 50
    rows: int = 1_000_000
    large_features: int = 100
    large_rows: int = 10_000_000
    repeats: int = 3


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure one statistic on both sides, then all of ours at once, then memory.

    The false alarms are those that `make drift-figures` stored; nothing is measured here.
    """
    yield from false_alarms()
    with TemporaryDirectory(prefix="bench_drift_") as temporary:
        folder = Path(temporary)
        write_windows(folder, sizes.features, sizes.rows)
        frames = load(folder)
        with evidently(folder) as peer:
            yield against(peer, "drift_vs_evidently", "psi", psi_of_all, frames, sizes.repeats)
            yield against(peer, "drift_ks_vs_evidently", "ks", ks_of_all, frames, repeats=1)
            peak = peak_gib(peer.process.pid)
        taken = [seconds(lambda: measure_all(*frames)) for _ in range(sizes.repeats)]
        yield Figure("drift_all_statistics_s", median(taken), "s")
        ours = in_child(load_and_compare, folder).peak_gib
        yield Figure.cost("drift_memory_vs_evidently", ours, "GiB", EVIDENTLY, peak)
    yield from in_bounded_memory(sizes)


def false_alarms() -> Iterator[Figure]:
    """Yield the days of quiet shops that were measured, and the episodes in 2,400 days."""
    stored = json.loads(FALSE_ALARMS.read_text())
    days = stored["days"] * len(stored["episodes"])
    episodes = sum(map(len, stored["episodes"].values()))
    yield Figure("drift_quiet_days", days, "days")
    yield Figure("drift_false_alarms", episodes * AIM_DAYS / days, "episodes")


@contextmanager
def evidently(folder: Path) -> Iterator[Peer]:
    """Start Evidently, by the same lock as far as it goes, with both windows in memory."""
    lock = settings.root / "requirements.txt"
    python = environment("evidently", VERSION, "--constraint", str(lock))
    with peer_process(python, SIDE, str(folder)) as peer:
        yield peer


def load(folder: Path) -> Frames:
    """Read both windows."""
    reference, current = (
        pd.read_parquet(folder / f"{side}.parquet") for side in ("reference", "current")
    )
    return reference, current


def psi_of_all(reference: pd.DataFrame, current: pd.DataFrame) -> Values:
    """Return the PSI of every feature."""
    return {name: calculate_psi(reference[name], current[name]) for name in reference}


def measure_all(reference: pd.DataFrame, current: pd.DataFrame) -> list[dict[str, Any]]:
    """Return all statistics of every feature."""
    return [measure_drift(name, reference[name], current[name]) for name in reference]


def ks_of_all(reference: pd.DataFrame, current: pd.DataFrame) -> Values:
    """Return the p-value of every feature."""
    return {name: detect_drift_ks_test(reference[name], current[name])[2] for name in reference}


def against(
    peer: Peer,
    name: str,
    statistic: str,
    ours: Callable[[pd.DataFrame, pd.DataFrame], Values],
    frames: Frames,
    repeats: int,
) -> Figure:
    """Compare our time with Evidently's for one statistic; both come to the same verdicts."""
    require_same_verdicts(statistic, ours(*frames), peer.query(statistic)["values"])
    sides = {
        "ours": lambda: seconds(lambda: ours(*frames)),
        EVIDENTLY: lambda: float(peer.query(statistic)["seconds"]),
    }
    return Figure.of_slices(name, alternated(sides, repeats), "s")


def require_same_verdicts(statistic: str, ours: Values, theirs: Values) -> None:
    """Raise AssertionError unless p-values agree and PSI separates drift from no drift.

    Up to 10,000 rows Evidently's p-values are exact, ours asymptotic. Its PSI leaves nulls out, and
    may miss a drift of amounts: a few huge ones make its bins, of equal width, too wide.
    """
    for name, (shape, drift) in shapes_and_drifts(len(ours)).items():
        if statistic == "ks":
            assert abs(ours[name] - theirs[name]) < 0.01, name
            continue
        assert (ours[name] >= PSI_BORDER) == (drift != "none"), name
        if drift == "nulls":
            assert theirs[name] < PSI_BORDER, name
        elif shape != "amount":
            assert (theirs[name] >= PSI_BORDER) == (drift != "none"), name


def load_and_compare(folder: Path) -> None:
    """Compute all our statistics in a process of its own."""
    measure_all(*load(folder))


def in_bounded_memory(sizes: Sizes) -> Iterator[Figure]:
    """Measure time and peak on a sample of the entities of tables that exceed the memory."""
    with TemporaryDirectory(prefix="bench_drift_") as temporary:
        folder = Path(temporary)
        for window in ("reference", "current"):
            write_large(folder / f"{window}.parquet", window, sizes.large_rows)
        groups = max(1, sizes.large_rows // ENTITIES)
        cost = in_child(compare_large, folder, sizes.large_features, groups)
    yield Figure("drift_100_features_10m_s", cost.seconds, "s")
    yield Figure("drift_100_features_10m_peak_gib", cost.peak_gib, "GiB")


def write_large(file: Path, window: str, rows: int) -> None:
    """Write a key and ten columns of hashes: every feature is computed from one of them."""
    columns = ", ".join(
        f"(hash(row, {column}, '{window}') % 1_000_003)::DOUBLE AS c{column}"
        for column in range(LARGE_COLUMNS)
    )
    duckdb.execute(f"COPY (SELECT row, {columns} FROM range({rows}) r(row)) TO '{file}'")


def compare_large(folder: Path, features: int, groups: int) -> None:
    """Compare samples of both windows; no two features are the same, and none drifts."""
    names, frames = [(i, i % LARGE_COLUMNS, 1 + i // LARGE_COLUMNS) for i in range(features)], []
    columns = ", ".join(f"c{column} * {factor} AS f{i}" for i, column, factor in names)
    is_in_sample = f"hash(concat('sample ', row)) % {groups} = 0"
    for window in ("reference", "current"):
        table = f"read_parquet('{folder / window}.parquet')"
        frames.append(duckdb.sql(f"SELECT {columns} FROM {table} WHERE {is_in_sample}").df())
    assert all(row["psi"] < PSI_BORDER for row in measure_all(*frames))
