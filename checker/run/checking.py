"""`lab check`: one submission, criterion by criterion, for a person who waits for it."""

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from checker.render.terminal import SIGNS, show
from checker.run import progress
from checker.run.overlapping import grade_all
from checker.run.runner import OnResult, criteria_of, grader
from checker.settings import CheckerSettings
from checker.submission.attempts import Attempts, with_reasons
from checker.submission.intake import name_of, take_in
from checker.submission.names import CRONTABS
from checker.submission.workspace import is_begun, starter_file
from checker.verdict.brief import BY_ID, EXERCISES, with_needs
from checker.verdict.outcome import Status
from checker.verdict.plain_text import plain
from checker.verdict.results import Result, Scorecard
from lab.errors import UserError, next_todo
from lab.learn import WORKSPACE
from lab.settings import ROOT

WATCHED = {".py", ".ipynb", ".yaml", ".yml", ".toml", ".sql", ".sh"}
NOT_WATCHED = {".venv", ".git", "__pycache__", "build", "node_modules", "data"}
POLL_S = 0.5
Grade = Callable[[Path, Sequence[str], OnResult], Scorecard]


def next_in_workspace(folder: Path, config: CheckerSettings) -> str | None:
    """Return the exercise to check next where `folder` is the learner's workspace; else None."""
    if folder.resolve() == WORKSPACE != ROOT:
        number = progress.next_exercise(WORKSPACE, config.build_dir)
        return None if number is None else str(number)
    return None


def open_criterion(what: str | None, config: CheckerSettings) -> str:
    """Return the named criterion; of an exercise, or the workspace's, the first not passed yet."""
    if what in BY_ID:
        return what
    passed = progress.read(config.build_dir)
    ids = criteria(what or next_in_workspace(WORKSPACE, config))
    return next((identifier for identifier in ids if not passed.get(identifier)), ids[0])


def criteria(what: str | None) -> list[str]:
    """Return the ids of an exercise, "5", of a criterion and what it needs, "5.3", or all 35.

    Raises UserError for anything else.
    """
    if what in (None, "all"):
        return criteria_of(None)
    if what in BY_ID:
        return [criterion.id for criterion in with_needs({what})]
    if not (what.isdecimal() and int(what) in EXERCISES):
        raise UserError(f"the brief has no exercise or criterion {what}", "lab check 2.4")
    return criteria_of(int(what))


def check(
    folder: Path, ids: Sequence[str], seed: int | None, config: CheckerSettings, console: Console
) -> Scorecard:
    """Grade a submission by the criteria of these ids."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    with grader(config, seed) as by:
        is_all = list(ids) == criteria_of(None)
        grade = partial(grade_all, by, seed) if is_all else by.grade
        return check_with(grade, folder, ids, config, console)


def check_with(
    grade: Grade, folder: Path, ids: Sequence[str], config: CheckerSettings, console: Console
) -> Scorecard:
    """Grade by a grader that is there already, with a bar of progress; print the scorecard."""
    console.print(f"checking {escape(plain(name_of(folder)))}", highlight=False)
    columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(ids))

        def on_result(graded: Result) -> None:
            bar.advance(task)
            result = attempts.final(graded)
            if result.status is not Status.NOT_ATTEMPTED:
                name = f"{result.criterion.id} {result.criterion.title}"
                line = f"  {SIGNS[result.status]} {name}, {result.seconds:.1f} s"
                bar.console.print(line, highlight=False)

        with tempfile.TemporaryDirectory(prefix="lab-check-") as scratch:
            taken = take_in(folder, Path(scratch), config)
            for name in taken.unread:
                bar.console.print(f"  left out: {escape(plain(name))}", highlight=False)
            for note in taken.notes.values():
                bar.console.print(f"  {escape(plain(note))}", highlight=False)
            attempts = Attempts(taken)
            card = with_reasons(grade(taken.folder, ids, on_result), taken)
    show(card, console)
    if folder.resolve() == WORKSPACE != ROOT:
        try:
            progress.record(card, config.build_dir)
        except OSError as error:
            console.print(f"  not stored for lab progress: {escape(str(error))}", highlight=False)
        show_next_todo(card, config, console)
    return card


def show_next_todo(card: Scorecard, config: CheckerSettings, console: Console) -> None:
    """Print the place of the TODO to write next, or where all passed, the next exercise."""
    open_results = (r for r in card.results if r.status is not Status.PASS)
    result = next(open_results, None)
    if result is None:
        following = next_in_workspace(WORKSPACE, config)
        console.print(f"  next: lab run {following}" if following else "  all of yours passed")
        return
    file = starter_file(WORKSPACE, result.criterion.exercise)
    if file.is_file() and (todo := next_todo(file, is_begun=is_begun(file))):
        console.print(f"  write: {escape(todo)}", highlight=False, soft_wrap=True)
    else:
        number = result.criterion.exercise
        console.print(f"  run it on your own data: lab run {number}", highlight=False)


def watch(
    folder: Path,
    ids: Sequence[str],
    seed: int | None,
    config: CheckerSettings,
    console: Console,
    wait: Callable[[], None] = lambda: time.sleep(POLL_S),
) -> None:
    """Check now and after each save, on the same hidden data, until Ctrl-C."""
    with grader(config, seed) as by:
        while True:
            seen = saved(folder)
            try:
                check_with(by.grade, folder, ids, config, console)
            except UserError as error:  # such as a file that is saved by half
                console.print(f"[red]error:[/] {escape(plain(str(error)))}", highlight=False)
            console.print("waiting for a change; Ctrl-C ends", style="dim")
            while saved(folder) == seen:
                wait()


def saved(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return when each file that a person writes was saved last, and its length."""
    found = {}
    for directory, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in NOT_WATCHED]
        for name in files:
            file = Path(directory, name)
            if file.suffix in WATCHED or any(file.match(pattern) for pattern in CRONTABS):
                # An editor may replace the file just now.
                with suppress(FileNotFoundError):
                    status = file.stat()
                    found[file] = (status.st_mtime_ns, status.st_size)
    return found
