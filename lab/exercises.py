"""The exercises as the tooling knows them: by the names of their folder, script and services."""

import runpy
from dataclasses import dataclass

from lab.figures import timed
from lab.settings import settings


@dataclass(frozen=True)
class Exercise:
    """What `lab run N` starts: scripts of the exercise's folder, in order, after its services."""

    number: int
    folder: str
    scripts: tuple[str, ...]
    services: tuple[str, ...] = ("redis",)

    @property
    def is_there(self) -> bool:
        return all((settings.root / self.folder / f"{s}.py").exists() for s in self.scripts)

    def run(self) -> None:
        """Run the scripts as `python -m` would."""
        with timed(f"exercise_{self.number}_s"):
            for script in self.scripts:
                runpy.run_module(f"{self.folder}.{script}", run_name="__main__")


EXERCISES = (
    Exercise(1, "exercise_01_setup", ("setup_store",)),
    Exercise(2, "exercise_02_pit_training", ("generate_training_data", "leakage")),
    Exercise(3, "exercise_03_materialize", ("materialize",)),
    Exercise(4, "exercise_04_serving", ("train_model", "demo")),
    Exercise(5, "exercise_05_streaming", ("demo",), services=("redis", "kafka")),
    Exercise(6, "exercise_06_monitoring", ("feature_monitoring",)),
)
