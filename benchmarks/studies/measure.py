"""Measure what streaming features are worth, and write docs/studies. `make payoff` runs it.

python -m benchmarks.studies.measure [PAYMENTS]
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.studies import figure, leaks, payoff, report
from benchmarks.studies.data import Study
from benchmarks.studies.scoring import Figures, as_frame
from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training.generate_training_data import LABEL_MATURITY
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST
from lab.feature_store import quiet_feast
from lab.learn import settings

PAYMENTS = 1_000_000
HISTORY, AS_OF = timedelta(days=300), datetime(2026, 6, 1, tzinfo=UTC)
HINDSIGHT = timedelta(days=60)  # so that the labels of 60 days are known of every row
KINDS = (payoff.sizes, payoff.kinds)
ALL = (*KINDS, payoff.ages, payoff.groups, payoff.maturity, leaks.payment_itself, leaks.leakage)
REAL = (payoff.real,)
STUDIES = {"a": (ALL, 0), "b": (KINDS, 1), "c": (KINDS, 2), "real": (REAL, 0)}  # parts, seed

Part = Callable[[Study], Figures]


def measure(parts: Sequence[Part], payments: int) -> pd.DataFrame:
    """Measure the data in the folder of the settings; make them, if they are not there."""
    is_real, folder = parts == REAL, settings.data_dir
    if is_real and not (folder / MANIFEST).exists():
        import_complete_journey(folder, AS_OF)
    elif not (folder / MANIFEST).exists():
        seed = settings.seed
        simulate(folder, transactions=payments, seed=seed, as_of=AS_OF, history=HISTORY)
    with threadpool_limits(1):  # two training threads on two busy cores wait for each other
        return figures(parts, LABEL_MATURITY if is_real else HINDSIGHT)


def figures(parts: Sequence[Part], hindsight: timedelta) -> pd.DataFrame:
    """Return the figures of the present data."""
    with quiet_feast():
        apply_definitions()
    study = Study(hindsight)
    return as_frame(figure for part in parts for figure in part(study))


def main() -> None:
    payments = int(sys.argv[1]) if sys.argv[1:] else PAYMENTS
    results = []
    for name, (parts, seed) in STUDIES.items():
        folder = settings.build_dir / "studies" / f"{payments}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {"LAB_DATA_DIR": str(folder), "LAB_STORES": "plugins"}
        os.environ["LAB_SEED"] = str(settings.seed + seed)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:  # memory is freed
            results.append(process.submit(measure, parts, payments).result())
    report.write(pd.concat(results))
    figure.draw(report.read_results(), report.measured_freshness(), report.STUDIES)


if __name__ == "__main__":
    main()
