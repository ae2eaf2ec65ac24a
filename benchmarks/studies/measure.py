"""Measure one data set, in the folder of LAB_DATA_DIR with LAB_SEED, in a process of its own.

python -m benchmarks.studies.measure PARTS PAYMENTS RESULT.csv   # parts: kinds,ages,... or real
"""

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from threadpoolctl import threadpool_limits

from benchmarks.studies import leaks, payoff
from benchmarks.studies.report import measured_freshness
from benchmarks.studies.scoring import Figures, as_frame
from benchmarks.studies.study import Study
from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training.generate_training_data import LABEL_MATURITY
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST
from lab.feature_store import feast_says_nothing
from lab.settings import settings

HISTORY, AS_OF = timedelta(days=300), datetime(2026, 6, 1, tzinfo=UTC)
HINDSIGHT = timedelta(days=60)  # so that the labels of 60 days are known of every row


PARTS: dict[str, Callable[[Study], Figures]] = {
    "sizes": payoff.sizes,
    "kinds": payoff.kinds,
    "ages": lambda study: payoff.ages(study, measured_freshness()),
    "groups": payoff.groups,
    "maturity": payoff.maturity,
    "itself": lambda study: leaks.payment_itself(study, measured_freshness()),
    "leakage": leaks.leakage,
    "real": payoff.real,
}


def prepare(payments: int, *, is_real: bool) -> None:
    """Make the data, if they are not there, and apply the definitions."""
    if not (settings.data_dir / MANIFEST).exists():
        if is_real:
            import_complete_journey(settings.data_dir, AS_OF)
        else:
            made = {"transactions": payments, "seed": settings.seed}
            simulate(settings.data_dir, **made, as_of=AS_OF, history=HISTORY)
    with feast_says_nothing():
        apply_definitions()


def figures(parts: Iterable[str], hindsight: timedelta = HINDSIGHT) -> Figures:
    """Yield the figures of the present data."""
    study = Study(hindsight)
    for part in parts:
        yield from PARTS[part](study)


def main() -> None:
    parts, payments, result = sys.argv[1:]
    is_real = parts == "real"
    with threadpool_limits(1):  # two training threads on two busy cores wait for each other
        prepare(int(payments), is_real=is_real)
        hindsight = LABEL_MATURITY if is_real else HINDSIGHT
        as_frame(figures(parts.split(","), hindsight)).to_csv(result, index=False)


if __name__ == "__main__":
    main()
