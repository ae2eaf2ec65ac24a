"""Measure what streaming features are worth, and write docs/studies. `make payoff` runs it.

python -m benchmarks.studies.measure [PAYMENTS]
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.studies import payoff, report
from benchmarks.studies.data import Study
from benchmarks.studies.scoring import as_lines
from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training.generate_training_data import LABEL_MATURITY
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST
from lab.feature_store import quiet_feast
from lab.learn import settings

HISTORY, AS_OF = timedelta(days=300), datetime(2026, 6, 1, tzinfo=UTC)
HINDSIGHT = timedelta(days=60)  # so that the labels of 60 days are known of every row
ALL = (
    *(payoff.kinds, payoff.ages, payoff.groups),
    *(payoff.maturity, payoff.payment_itself, payoff.leakage),
)
STUDIES = {"a": (0, ALL), "b": (1, ALL[:1]), "c": (2, ALL[:1]), "real": (0, (payoff.real,))}


def measure(name: str, payments: int) -> pd.DataFrame:
    """Return the figures of the data in the folder of the settings; make the data if absent."""
    is_real, folder, seed = name == "real", settings.data_dir, settings.seed
    if is_real and not (folder / MANIFEST).exists():
        import_complete_journey(folder, AS_OF)
    elif not (folder / MANIFEST).exists():
        simulate(folder, transactions=payments, seed=seed, as_of=AS_OF, history=HISTORY)
    with quiet_feast():
        apply_definitions()
    with threadpool_limits(1):  # two training threads on two busy cores wait for each other
        study = Study(LABEL_MATURITY if is_real else HINDSIGHT)
        return pd.concat(as_lines(part(study)) for part in STUDIES[name][1])


def main() -> None:
    payments = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    results = []
    for name, (seed, _) in STUDIES.items():
        folder = settings.build_dir / "studies" / f"{payments}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {"LAB_DATA_DIR": str(folder), "LAB_STORES": "plugins"}
        os.environ["LAB_SEED"] = str(settings.seed + seed)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:  # memory is freed
            results.append(process.submit(measure, name, payments).result())
    report.write(pd.concat(results))


if __name__ == "__main__":
    main()
