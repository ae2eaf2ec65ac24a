"""Measure what streaming features are worth, and write docs/studies; `make payoff`."""

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from tempfile import TemporaryDirectory

import pandas as pd

from benchmarks.studies import payoff, report
from benchmarks.studies.data import Study
from benchmarks.studies.scoring import as_lines
from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training.generate_training_data import LABEL_MATURITY
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.feature_store import quiet_feast
from lab.learn import settings

PAYMENTS = 1_000_000
HISTORY, AS_OF = timedelta(days=300), datetime(2026, 6, 1, tzinfo=UTC)
HINDSIGHT = timedelta(days=60)  # so that the labels of 60 days are known of every row


def figures(payments: int, studies: payoff.Studies) -> pd.DataFrame:
    """Return the figures of a simulated shop; without `payments`, of the bundled baskets."""
    folder, seed = settings.data_dir, settings.seed
    if payments:
        simulate(folder, transactions=payments, seed=seed, as_of=AS_OF, history=HISTORY)
    else:
        import_complete_journey(folder, AS_OF)
    with quiet_feast():
        apply_definitions()
    data = Study(HINDSIGHT if payments else LABEL_MATURITY)
    return pd.concat(as_lines(study(data)) for study in studies)


def main() -> None:
    shops = [(PAYMENTS, studies) for studies in (payoff.ALL, [payoff.kinds], [payoff.kinds])]
    os.environ |= {"LAB_STORES": "plugins", "OMP_NUM_THREADS": "1"}  # two busy cores: no waiting
    results = []
    for seed, of in (*enumerate(shops, settings.seed), (settings.seed, (0, [payoff.real]))):
        with TemporaryDirectory(prefix="payoff_") as folder:
            os.environ |= {"LAB_DATA_DIR": folder, "LAB_SEED": str(seed)}
            with ProcessPoolExecutor(1, get_context("spawn")) as process:  # memory is freed
                results.append(process.submit(figures, *of).result())
    report.write(pd.concat(results))


if __name__ == "__main__":
    main()
