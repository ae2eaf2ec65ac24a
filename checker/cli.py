"""The commands of grading: lab new · check · grade · compare · render."""

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from checker.render import RENDERERS, Form
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard, read_scorecard, write_whole
from lab.errors import UserError
from lab.settings import settings

SOME_FAILED, USER_ERROR, OUR_ERROR, STOPPED = 1, 2, 3, 128 + signal.SIGTERM

REFERENCE = settings.build_dir / "scorecard.json"
console = Console()

Out = Annotated[Path | None, typer.Option(help="The file to write; without it, standard output")]


def check(
    number: Annotated[
        int | None, typer.Argument(min=1, max=6, help="One exercise; without it all 35")
    ] = None,
    submission: Annotated[Path, typer.Option(help="The folder of a solution")] = settings.root,
    seed: Annotated[int | None, typer.Option(help="Replay the hidden data of a verdict")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Also write this form")] = None,
    out: Out = None,
    explain: Annotated[
        str | None, typer.Option(help="Say how a criterion is judged, and why; e.g. 2.4")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Check again after each save")] = False,
) -> None:
    """Check a solution against the success criteria."""
    if explain is not None:
        from checker.render.explain import explain as explanation

        console.print(Markdown(explanation(explain)))
        return
    from checker.run import checking

    if out is not None and form is None:
        raise UserError("--out needs --format", "lab check --format html --out scorecard.html")
    reader = Console(stderr=form is not None and out is None)
    if watch:
        with suppress(KeyboardInterrupt):
            checking.watch(submission, number, seed, reader)
        return
    card = checking.check(submission, number, seed, reader)
    if form is not None:
        deliver(card, form, out)
    sys.exit(exit_status(card))


def new(folder: Annotated[Path, typer.Argument(help="A folder that is not there yet")]) -> None:
    """Make a learner's workspace: starter files, the contract and the errata."""
    from checker.submission.workspace import make_workspace

    make_workspace(folder)
    console.print(
        f"made {folder}\n  next: cd {folder} && lab check --submission .", highlight=False
    )


def render(
    scorecard: Annotated[Path, typer.Argument(help="A scorecard.json")],
    form: Annotated[Form, typer.Option("--format")] = Form.HTML,
    out: Out = None,
) -> None:
    """Write a scorecard that was kept in another form; nothing is graded again."""
    deliver(read_scorecard(scorecard), form, out)


def grade(
    sources: Annotated[list[Path], typer.Argument(help="Folders or ZIP files, one a submission")],
    out: Annotated[Path, typer.Option(help="The folder for scorecards")] = Path("graded"),
    exercise: Annotated[
        int | None, typer.Option(min=1, max=6, help="One exercise; without it all 35")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at a time")] = 1,
    seed: Annotated[int | None, typer.Option(help="Of the hidden data, the same for all")] = None,
    overrides: Annotated[
        Path | None, typer.Option(help="A folder of NAME/submission.toml, for their names")
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="Packages that submissions may import beyond the lock's")
    ] = None,
    fail_under: Annotated[
        int | None, typer.Option(help="Status 1 where fewer criteria passed; else where one failed")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is found, and stop")] = False,
) -> None:
    """Grade submissions, several at a time; begun again, it goes on where it stopped."""
    from checker.run import batch, classroom
    from checker.run.runner import criteria_of
    from checker.verdict.packages import install

    if dry_run:
        all_taken = classroom.say_what_is_found(sources, overrides, console)
        sys.exit(0 if all_taken else USER_ERROR)
    config = settings
    if requirements is not None:
        packages = install(requirements, out / "packages")
        config = settings.model_copy(update={"extra_packages": packages})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # who grades ends with this process
    wanted = batch.Batch(sources, out, criteria_of(exercise), jobs, overrides, config)
    cards = classroom.grade(wanted, seed, last_run(), console)
    statuses = [exit_status(card, fail_under) for card in cards]
    sys.exit(max(statuses, default=0))


def compare(
    scorecards: Annotated[list[Path], typer.Argument(help="Scorecards, or folders that hold some")],
    out: Annotated[Path, typer.Option(help="The folder to write")] = Path("compared"),
    reference: Annotated[
        Path | None, typer.Option(help="The scorecard that stands first; else the last lab run's")
    ] = None,
) -> None:
    """Put submissions side by side: a page, a CSV and a JSON file, and a page for each."""
    from checker.render import comparison

    columns = comparison.compare(scorecards, reference or last_run(), out)
    console.print(f"{len(columns)} submissions: {out / 'index.html'}", highlight=False)


def last_run() -> Path | None:
    """The scorecard of the last `lab run`, if there is one of this version."""
    with suppress(UserError):
        read_scorecard(REFERENCE)
        return REFERENCE
    return None


def deliver(card: Scorecard, form: Form, out: Path | None) -> None:
    """Write a form of a scorecard to a file, or to standard output."""
    text = RENDERERS[form](card)
    if out is None:
        sys.stdout.write(text)
    else:
        write_whole(out, text)


def exit_status(card: Scorecard, fail_under: int | None = None) -> int:
    """0 when nothing failed, 1 when a criterion did, 3 when the error is ours.

    With `fail_under` 1 when fewer criteria than that have passed, else 0.
    """
    if card.count(Status.ERROR):
        return OUR_ERROR
    if fail_under is not None:
        return SOME_FAILED if card.count(Status.PASS) < fail_under else 0
    return SOME_FAILED if card.count(Status.FAIL) or card.count(Status.SKIPPED) else 0
