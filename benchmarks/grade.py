"""`lab grade`: two jobs compared with one, the memory of a job, all 35 criteria of one submission.

Each submission is a copy of the reference, and must pass every criterion of its exercises.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness.figures import Figure
from benchmarks.harness.memory import peak_of_descendants
from benchmarks.harness.timing import seconds
from checker.sandbox.forking import ENGINE_THREADS
from checker.verdict.brief import CRITERIA
from checker.verdict.outcome import Status
from checker.verdict.results import SCORECARD, read_scorecard
from lab.settings import settings

SEED = "7"
BUILT = shutil.ignore_patterns("__pycache__", "data", "models")


@dataclass(frozen=True)
class Sizes:
    """Numbers of submissions by exercises; the exercises of the submission that is graded whole."""

    submissions: int = settings.bench_submissions
    exercises: Sequence[int] = (1, 2, 3)
    whole: Sequence[int] = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Run:
    """Cost of a call of `lab grade`: its time, and the peak memory of all its processes."""

    seconds: float
    peak_gib: float


def measure(sizes: Sizes = Sizes()) -> Iterator[Figure]:
    """Measure the speed-up of a second job, then one submission with all of its exercises."""
    with TemporaryDirectory(prefix="bench_grade_") as name:
        folder = Path(name)
        yield from two_jobs(folder, sizes)
        (one,) = copies(folder / "whole", 1, sizes.whole)
        whole = graded([one], folder / "of_one", 1, sizes.whole)
        yield Figure("grade_one_minutes", whole.seconds / 60, "min")
        yield Figure("grade_one_peak_gib", whole.peak_gib, "GiB")


def two_jobs(folder: Path, sizes: Sizes) -> Iterator[Figure]:
    """Grade the same submissions with one job and with two, engines on one thread in both."""
    sources = copies(folder / "class", sizes.submissions, sizes.exercises)
    one_thread = dict.fromkeys(ENGINE_THREADS, "1")
    runs = {
        jobs: graded(sources, folder / f"by_{jobs}", jobs, sizes.exercises, one_thread)
        for jobs in (1, 2)
    }
    yield Figure("grade_speedup_2_jobs", runs[1].seconds / runs[2].seconds, "times as fast")
    for jobs, run in runs.items():
        yield Figure(f"grade_{jobs}_jobs_per_submission_s", run.seconds / len(sources), "s")
        yield Figure(f"grade_{jobs}_jobs_peak_gib_per_job", run.peak_gib / jobs, "GiB")


def copies(folder: Path, count: int, exercises: Sequence[int]) -> list[Path]:
    """Copy the reference's exercises, without the files of earlier runs."""
    sources = [folder / f"submission_{number:03d}" for number in range(1, count + 1)]
    for source in sources:
        for exercise in exercises:
            (found,) = settings.root.glob(f"exercise_{exercise:02d}*")
            shutil.copytree(found, source / found.name, ignore=BUILT)
        shutil.copy(settings.root / "submission.toml", source)
    return sources


def graded(
    sources: Sequence[Path],
    out: Path,
    jobs: int,
    exercises: Sequence[int],
    env: dict[str, str] | None = None,
) -> Run:
    """Grade by the command, on simulated data; RuntimeError where a submission did not pass all."""
    words = ["grade", *map(str, sources), "--out", str(out), "--jobs", str(jobs), "--seed", SEED]
    command = [sys.executable, "-c", "from checker.cli import main; main()", *words]
    ours = {**os.environ, "LAB_DATA_DIR": str(out / "no_data"), **(env or {})}
    with peak_of_descendants() as peak:
        taken = seconds(lambda: run_to_its_end(command, ours))
    for source in sources:
        assert_all_passed(out / "scorecards" / source.name / SCORECARD, exercises)
    return Run(taken, peak.gib)


def run_to_its_end(command: Sequence[str], env: dict[str, str]) -> None:
    """Run a command; a signal that stops this process stops the command too, which cleans up."""
    with subprocess.Popen(command, env=env, stdout=sys.stderr) as process:
        try:
            process.wait()
        except BaseException:
            process.terminate()
            raise


def assert_all_passed(scorecard: Path, exercises: Sequence[int]) -> None:
    """Raise RuntimeError unless everything was graded and passed: only then does a time count."""
    status_of = read_scorecard(scorecard).status_of()
    ids = [criterion.id for criterion in CRITERIA if criterion.exercise in exercises]
    if others := [f"{i} {status_of[i]}" for i in ids if status_of[i] is not Status.PASS]:
        raise RuntimeError(f"{scorecard} has not passed: {', '.join(others)}")
