"""`lab grade`: many submissions, several at a time, each in a process that may die alone."""

import json
import queue
import secrets
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from checker.render.comparison import SCORECARD
from checker.run.grading_process import GradingProcess
from checker.submission.intake import Intake, name_of, take_in
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.packages import REQUIRED
from checker.verdict.provenance import provenance
from checker.verdict.results import Result, Scorecard, read_scorecard, write_whole
from lab.errors import UserError
from lab.settings import Settings, settings

RUN, LOG = "run.json", "grader.log"
SAME = ("submission_hash", "thresholds_hash", "grader_version", "lock_hash", "packages_hash")


@dataclass(frozen=True)
class Batch:
    """What is graded, where to, by which criteria, and how many at a time."""

    sources: Sequence[Path]
    out: Path
    ids: Sequence[str]
    jobs: int = 1
    overrides: Path | None = None
    config: Settings = settings

    @property
    def options(self) -> tuple[str, ...]:
        """What a scorecard needs beyond folder and seed to be made again."""
        overrides, packages = self.overrides, self.config.extra_packages
        return (
            *(("--overrides", str(overrides)) if overrides else ()),
            *(("--requirements", str(packages / REQUIRED)) if packages else ()),
        )

    def scorecard(self, name: str) -> Path:
        return self.out / "scorecards" / name / SCORECARD


@dataclass(frozen=True)
class Progress:
    """Who hears of each result, and of each scorecard; called from several threads."""

    on_result: Callable[[Result], None] = lambda _: None
    on_card: Callable[[Scorecard], None] = lambda _: None


def grade(
    batch: Batch, seed: int | None = None, progress: Progress = Progress()
) -> list[Scorecard]:
    """Grade all, and write the scorecard of each as soon as it is there.

    What an earlier call into the same folder graded, with the same files, seed, thresholds and
    grader, is not graded again. Raises UserError when two submissions share a name, or when a
    scorecard that is there judges what is not asked.
    """
    names = [name_of(source) for source in batch.sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two submissions are called {min(twice)}", "rename one of them")
    for name in names:
        _assert_nothing_is_lost(batch, name)
    seed = _seed_of_run(batch.out, seed)
    with tempfile.TemporaryDirectory(prefix="lab-intake-") as scratch:
        waiting: queue.SimpleQueue[Intake] = queue.SimpleQueue()
        for source in batch.sources:
            if taken := _to_grade(batch, source, Path(scratch), seed, progress):
                waiting.put(taken)
        _in_parallel(batch, waiting, seed, progress)
    return [read_scorecard(batch.scorecard(name)) for name in names]


def _assert_nothing_is_lost(batch: Batch, name: str) -> None:
    try:
        earlier = read_scorecard(batch.scorecard(name))
    except UserError:
        return
    if not set(earlier.status_of()) <= set(batch.ids):
        said = f"{batch.scorecard(name)} judges criteria that are not asked for now"
        raise UserError(said, "lab grade … --out ANOTHER")


def _to_grade(
    batch: Batch, source: Path, scratch: Path, seed: int, progress: Progress
) -> Intake | None:
    """A submission that was taken in; None when its scorecard is there without grading it."""
    try:
        taken = take_in(source, scratch, batch.overrides, batch.config)
    except UserError as error:
        folder = scratch / name_of(source)
        folder.mkdir(exist_ok=True)
        _keep(batch, folder.name, _refused(batch, folder, seed, error), progress)
        return None
    earlier = _earlier(batch, taken, seed)
    if earlier is None:
        return taken
    progress.on_card(earlier)
    return None


def _in_parallel(
    batch: Batch, waiting: "queue.SimpleQueue[Intake]", seed: int, progress: Progress
) -> None:
    """A thread per process; each takes the next submission until none waits."""
    stopped = threading.Event()
    count = min(batch.jobs, waiting.qsize())
    processes = [GradingProcess(seed, batch.out / LOG, batch.config) for _ in range(count)]

    def work(process: GradingProcess) -> None:
        while not stopped.is_set():
            try:
                taken = waiting.get_nowait()
            except queue.Empty:
                process.close()
                return
            try:
                card = process.grade(taken.folder, batch.ids, progress.on_result)
            except UserError as error:
                card = _refused(batch, taken.folder, seed, error)
            if not stopped.is_set():
                _keep(batch, taken.name, card, progress)

    with ThreadPoolExecutor(max(count, 1)) as threads:
        try:
            for done in [threads.submit(work, process) for process in processes]:
                done.result()
        finally:
            stopped.set()
            for process in processes:
                process.kill()


def _keep(batch: Batch, name: str, card: Scorecard, progress: Progress) -> None:
    card = replace(card, options=batch.options)
    card.write(batch.scorecard(name))
    progress.on_card(card)


def _refused(batch: Batch, folder: Path, seed: int, error: UserError) -> Scorecard:
    """A submission that cannot be graded: each criterion fails, and says why."""
    said = f"not graded: {error.problem}"
    results = [
        Result(BY_ID[i], Status.FAIL, message=said, weight=batch.config.weights.get(i, 1.0))
        for i in batch.ids
    ]
    return Scorecard(folder.name, seed, results, provenance(batch.config, folder))


def _earlier(batch: Batch, taken: Intake, seed: int) -> Scorecard | None:
    """The scorecard that an earlier call has made, if it would be made the same way now."""
    try:
        card = read_scorecard(batch.scorecard(taken.name))
    except UserError:
        return None
    now = provenance(batch.config, taken.folder)
    is_same = all(getattr(card.provenance, name) == getattr(now, name) for name in SAME)
    is_done = set(card.status_of()) == set(batch.ids) and not card.count(Status.ERROR)
    return card if is_same and is_done and card.seed == seed else None


def _seed_of_run(out: Path, seed: int | None) -> int:
    """The given seed, or that of an earlier call into the same folder, or a new one; it is kept."""
    file = out / RUN
    if seed is None:
        try:
            seed = int(json.loads(file.read_text())["seed"])
        except FileNotFoundError:
            seed = secrets.randbelow(2**31)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{file} is not of lab grade", "lab grade … --out ANOTHER") from error
    write_whole(file, json.dumps({"seed": seed}) + "\n")
    return seed
