"""What `lab run` does: data, services, the exercises in order, the grading of the reference."""

from rich.console import Console

from checker.run.checking import check
from checker.verdict.results import Scorecard
from lab import stack
from lab.dataset import manifest
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST
from lab.errors import UserError
from lab.exercises import EXERCISES, Exercise
from lab.settings import settings, utc_now

SCORECARD = settings.build_dir / "scorecard.json"


def ensure_data(name: str | None) -> None:
    """Have the named dataset, or any; what is there is kept, with its as-of."""
    is_there = (settings.data_dir / MANIFEST).exists()
    if is_there and name in (None, manifest.read(settings.data_dir).name):
        return
    as_of = settings.as_of or utc_now().replace(minute=0, second=0, microsecond=0)
    if name in (None, "simulated"):
        simulate(
            settings.data_dir,
            transactions=settings.transactions,
            seed=settings.seed,
            as_of=as_of,
            history=settings.history,
        )
    elif name == "complete_journey":
        import_complete_journey(settings.data_dir, as_of)
    else:
        raise UserError(
            f"there is no dataset {name}",
            "lab data import FILE --map user_id=COLUMN, or DATA=simulated",
        )


def run_one(number: int, data: str | None) -> None:
    """Run one exercise, on the services that it needs."""
    found = [exercise for exercise in EXERCISES if exercise.number == number and exercise.is_there]
    if not found:
        raise UserError(f"there is no exercise {number} to run", "lab run 1")
    _run(found, data)


def run_all(data: str | None, console: Console) -> Scorecard:
    """Run every exercise, grade the reference, print the scorecard and write it."""
    _run([exercise for exercise in EXERCISES if exercise.is_there], data)
    card = check(settings.root, None, None, console)
    card.write(SCORECARD)
    console.print(f"written: {SCORECARD} and {SCORECARD.with_name('figures.json')}")
    return card


def _run(exercises: list[Exercise], data: str | None) -> None:
    ensure_data(data)
    stack.up(sorted({service for exercise in exercises for service in exercise.services}))
    for exercise in exercises:
        exercise.run()
