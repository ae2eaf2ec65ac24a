"""`lab grade`: many submissions, several at a time, each in a process that may die alone."""

import json
import queue
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from checker.render.copies import write_copies
from checker.run.copies import copies_in
from checker.run.grading_process import GradingProcess
from checker.settings import CheckerSettings
from checker.submission.attempts import with_reasons
from checker.submission.intake import Intake, name_of, take_in
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.provenance import REQUIRED, provenance
from checker.verdict.results import SCORECARD, Result, Scorecard, read_scorecard, write_whole
from lab.errors import UserError

RUN, LOG = "run.json", "grader.log"
SAME = ("submission_hash", "thresholds_hash", "grader_version", "lock_hash", "packages_hash")


@dataclass
class BatchRun:
    """Submissions that are graded into one folder, several at a time, on the same hidden data.

    `on_result` and `on_card` are called from several threads. Without a seed it is that of an
    earlier run into the same folder, or a new one.
    """

    sources: Sequence[Path]
    out: Path
    ids: Sequence[str]
    config: CheckerSettings
    jobs: int = 1
    overrides: Path | None = None
    seed: int | None = None
    on_result: Callable[[Result], None] = lambda _: None
    on_card: Callable[[Scorecard], None] = lambda _: None
    _waiting: "queue.SimpleQueue[Intake]" = field(default_factory=queue.SimpleQueue, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)
    _seed: int = field(default=0, init=False)
    _folders: dict[str, Path] = field(default_factory=dict, init=False)

    def grade(self) -> list[Scorecard]:
        """Grade all, and write the scorecard of each as soon as it is there; first, note copies.

        What an earlier run graded with the same files, seed, thresholds and grader is not graded
        again. Raises UserError when two submissions share a name, or when a scorecard that is
        there grades other criteria.
        """
        names = [name_of(source) for source in self.sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"two submissions are called {min(twice)}", "rename one of them")
        for name in names:
            self._assert_nothing_is_lost(name)
        self._seed, self._stopped = _seed_of_run(self.out, self.seed), threading.Event()
        with tempfile.TemporaryDirectory(prefix="lab-intake-") as scratch:
            for source in self.sources:
                self._enqueue(source, Path(scratch))
            exercises = sorted({BY_ID[identifier].exercise for identifier in self.ids})
            write_copies(copies_in(self._folders, exercises), self.out)
            self._grade_waiting()
        return [read_scorecard(self.scorecard(name)) for name in names]

    def scorecard(self, name: str) -> Path:
        """Path of a submission's scorecard."""
        return self.out / "scorecards" / name / SCORECARD

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `lab grade` that replay a scorecard, beyond folder and seed."""
        packages = self.config.extra_packages
        return (
            *(("--overrides", str(self.overrides)) if self.overrides else ()),
            *(("--requirements", str(packages / REQUIRED)) if packages else ()),
        )

    def _assert_nothing_is_lost(self, name: str) -> None:
        try:
            earlier = read_scorecard(self.scorecard(name))
        except UserError:
            return
        if not set(earlier.status_of()) <= set(self.ids):
            message = f"{self.scorecard(name)} holds criteria that this run does not grade"
            raise UserError(message, "lab grade … --out ANOTHER")

    def _enqueue(self, source: Path, scratch: Path) -> None:
        """Take a submission in, unless its scorecard is there already."""
        try:
            taken = take_in(source, scratch, self.config, self.overrides)
        except UserError as error:
            folder = scratch / name_of(source)
            folder.mkdir(exist_ok=True)
            self._write(folder.name, self._refused(folder, error))
            return
        self._folders[taken.name] = taken.folder
        earlier = self._earlier(taken)
        if earlier is None:
            self._waiting.put(taken)
        else:
            self.on_card(earlier)

    def _grade_waiting(self) -> None:
        """Run a thread per process; each takes the next submission until none waits."""
        count = min(self.jobs, self._waiting.qsize())
        processes = [GradingProcess(self._seed, self.out / LOG, self.config) for _ in range(count)]
        with ThreadPoolExecutor(max(count, 1)) as threads:
            try:
                for done in [threads.submit(self._work, process) for process in processes]:
                    done.result()
            finally:
                self._stopped.set()
                for process in processes:
                    process.kill()

    def _work(self, process: GradingProcess) -> None:
        for taken in self._next_waiting():
            try:
                card = process.grade(taken.folder, self.ids, self.on_result)
                card = with_reasons(card, taken)
            except UserError as error:
                card = self._refused(taken.folder, error)
            if not self._stopped.is_set():
                self._write(taken.name, card)
        if not self._stopped.is_set():
            process.close()

    def _next_waiting(self) -> Iterator[Intake]:
        while not self._stopped.is_set():
            try:
                yield self._waiting.get_nowait()
            except queue.Empty:
                return

    def _write(self, name: str, card: Scorecard) -> None:
        card = replace(card, options=self.options)
        card.write(self.scorecard(name))
        self.on_card(card)

    def _refused(self, folder: Path, error: UserError) -> Scorecard:
        """Return a scorecard in which each criterion fails for the one reason."""
        message, weights = f"not graded: {error.problem}", self.config.weights
        results = [
            Result(BY_ID[i], Status.FAIL, message=message, weight=weights.get(i, 1.0))
            for i in self.ids
        ]
        made_with = provenance(self.config, folder)
        return Scorecard(folder.name, self._seed, results, made_with)

    def _earlier(self, taken: Intake) -> Scorecard | None:
        """Return the scorecard of an earlier run, if it would be made the same way now."""
        try:
            card = read_scorecard(self.scorecard(taken.name))
        except UserError:
            return None
        now = provenance(self.config, taken.folder)
        is_same = all(getattr(card.provenance, name) == getattr(now, name) for name in SAME)
        is_done = set(card.status_of()) == set(self.ids) and not card.count(Status.ERROR)
        return card if is_same and is_done and card.seed == self._seed else None


def _seed_of_run(out: Path, seed: int | None) -> int:
    """Return the seed, given, of an earlier call into the folder, or new; store it there."""
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
