"""`lab run`: the data, the services, the exercises in order, the grading of the reference."""

import runpy
import subprocess
import sys
from dataclasses import dataclass

from rich.console import Console

from checker.run.checking import check, criteria
from checker.settings import CheckerSettings
from checker.verdict.results import SCORECARD, Scorecard
from lab import stack
from lab.dataset import manifest
from lab.dataset.importer import import_complete_journey
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST
from lab.derived import separate_datasets
from lab.errors import UserError
from lab.learn import silence_known_warnings
from lab.settings import ROOT, utc_now
from lab.stack.flink import connector_jars


@dataclass(frozen=True)
class Exercise:
    """Scripts of an exercise's folder that `lab run N` starts in order, after its services."""

    number: int
    folder: str
    scripts: tuple[str, ...]
    services: tuple[str, ...] = ("redis",)

    @property
    def is_there(self) -> bool:
        return all((ROOT / self.folder / f"{script}.py").exists() for script in self.scripts)

    @property
    def has_production(self) -> bool:
        return (ROOT / self.folder / "production" / "__main__.py").exists()

    def run(self) -> None:
        """Run the scripts as `python -m` would."""
        for script in self.scripts:
            runpy.run_module(f"{self.folder}.{script}", run_name="__main__")

    def run_production(self, parts: list[str]) -> None:
        """Run the exercise's demonstration with the named production parts; none names all."""
        command = [sys.executable, "-m", f"{self.folder}.production", *parts]
        ended = subprocess.run(command, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)


EXERCISES = (
    Exercise(1, "exercise_01_setup", ("setup_store",)),
    Exercise(2, "exercise_02_pit_training", ("generate_training_data",)),
    Exercise(3, "exercise_03_materialize", ("materialize",)),
    Exercise(4, "exercise_04_serving", ("train_model", "demo")),
    Exercise(5, "exercise_05_streaming", ("demo",), services=("redis", "kafka")),
    Exercise(6, "exercise_06_monitoring", ("feature_monitoring",)),
)


def run_one(number: int, data: str | None, config: CheckerSettings) -> None:
    """Run one exercise, on the services that it needs."""
    found = [exercise for exercise in EXERCISES if exercise.number == number and exercise.is_there]
    if not found:
        raise UserError(f"there is no exercise {number} to run", "lab run 1")
    _run(found, data, config)


def run_production(
    number: int | None, parts: str, data: str | None, config: CheckerSettings
) -> None:
    """Run an exercise with production parts: "all", or names separated by commas."""
    having = {exercise.number: exercise for exercise in EXERCISES if exercise.has_production}
    if number not in having:
        offered = ", ".join(map(str, having)) or "none"
        problem = f"--production needs an exercise with production parts: {offered}"
        raise UserError(problem, f"lab run {min(having, default=4)} --production all")
    exercise = having[number]
    prepare([exercise], data, config)
    exercise.run_production([] if parts == "all" else parts.split(","))


def run_all(data: str | None, config: CheckerSettings, console: Console) -> Scorecard:
    """Run every exercise, grade the reference, print the scorecard and write it."""
    _run([exercise for exercise in EXERCISES if exercise.is_there], data, config)
    card = check(ROOT, criteria(None), None, config, console)
    file = config.build_dir / SCORECARD
    card.write(file)
    console.print(f"written: {file}")
    return card


def _run(exercises: list[Exercise], data: str | None, config: CheckerSettings) -> None:
    prepare(exercises, data, config)
    silence_known_warnings()
    for exercise in exercises:
        exercise.run()


def prepare(exercises: list[Exercise], data: str | None, config: CheckerSettings) -> None:
    """Make the data and start the services that the exercises need."""
    _ensure_data(data, config)
    services = {service for exercise in exercises for service in exercise.services}
    stack.up(sorted(services), config)
    if "kafka" in services:
        connector_jars(config)
    separate_datasets(config)


def _ensure_data(name: str | None, config: CheckerSettings) -> None:
    """Make the named dataset, or any; one that is there stays, with its as-of."""
    is_there = (config.data_dir / MANIFEST).exists()
    if is_there and name in (None, manifest.read(config.data_dir).name):
        return
    as_of = config.as_of or utc_now().replace(minute=0, second=0, microsecond=0)
    if name in (None, "simulated"):
        simulate(
            config.data_dir,
            transactions=config.transactions,
            seed=config.seed,
            as_of=as_of,
            history=config.history,
        )
    elif name == "complete_journey":
        import_complete_journey(config.data_dir, as_of)
    else:
        raise UserError(
            f"there is no dataset {name}",
            "choose simulated or complete_journey; lab data import FILE imports another",
        )
