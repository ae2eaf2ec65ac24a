"""The command line `lab`: the lab's own commands, run, and those of grading."""

import errno
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.syntax import Syntax

from checker.render import RENDERERS, Form
from checker.settings import CheckerSettings
from checker.verdict.outcome import Status
from checker.verdict.results import SCORECARD, Scorecard, read_scorecard, write_whole
from lab.cli import app as app
from lab.cli import console
from lab.errors import OUR_ERROR, USER_ERROR, UserError
from lab.learn import WORKSPACE
from lab.settings import ROOT
from lab.variables import unknown_variables

EXERCISES = "[Ee]xercise[!a-z]*"
SOME_FAILED, STOPPED = 1, 128
UNWRITABLE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}

Out = Annotated[Path | None, typer.Option(help="The file to write; without it, standard output")]


@app.command()
def run(
    number: Annotated[
        int | None, typer.Argument(min=1, max=6, help="One exercise; without it all of them")
    ] = None,
    data: Annotated[str | None, typer.Option(help="simulated or complete_journey")] = None,
    production: Annotated[
        str | None, typer.Option(help="Run an exercise with these production parts; all, or a,b")
    ] = None,
    stall: Annotated[bool, typer.Option("--stall", help="Exercise 5: which zero is true?")] = False,
) -> None:
    """Run the exercises in order and grade the reference; or run one exercise, or yours."""
    from checker.run import learner, pipeline

    config = CheckerSettings.from_environment()
    production = "stall" if stall else production
    if WORKSPACE != ROOT:
        learner.run_in(WORKSPACE, number, data, config)
    elif production is not None:
        pipeline.run_production(number, production, data, config)
    elif number is not None:
        pipeline.run_one(number, data, config)
    else:
        stop_on_signals()
        sys.exit(exit_status(pipeline.run_all(data, config, console)))


@app.command()
def check(
    what: Annotated[
        str | None,
        typer.Argument(
            help="An exercise, 5, a criterion and what it needs, 5.3, or all; "
            "without it all 35, in a workspace the next open exercise"
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a solution; without it the one you are in, or the reference"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replay the hidden data of a verdict")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Also write this form")] = None,
    out: Out = None,
    hints: Annotated[
        int,
        typer.Option(
            "--hint", "-h", count=True, help="A question about an open criterion; -hh: its page"
        ),
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Check again after each save")] = False,
) -> None:
    """Check a solution against the success criteria."""
    config = CheckerSettings.from_environment()
    from checker.run import checking

    if hints:
        from checker.render.explain import explain, hint

        criterion = checking.open_criterion(what, config)
        page = hint(criterion) if hints == 1 else explain(criterion, config.weights)
        console.print(Markdown(page))
        return
    if out is not None and form is None:
        raise UserError("--out needs --format", "lab check --format html --out scorecard.html")
    folder = submission or folder_with_exercises(Path.cwd())
    if what is None and submission is None:
        what = checking.next_in_workspace(folder, config)
    ids = checking.criteria(what)
    stop_on_signals()
    reader = Console(stderr=form is not None and out is None)
    if watch:
        with suppress(KeyboardInterrupt):
            checking.watch(folder, ids, seed, config, reader)
        return
    card = checking.check(folder, ids, seed, config, reader)
    if form is not None:
        deliver(card, form, out)
    sys.exit(exit_status(card))


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet")],
    first: Annotated[
        int,
        typer.Option("--from", min=1, max=6, help="Your first; those before have the solution"),
    ] = 1,
) -> None:
    """Make a learner's workspace: starter files, the contract and the errata."""
    from checker.submission.workspace import make_workspace

    make_workspace(folder, first)
    next_step = f"cd {quote(str(folder))} && lab run {first}"
    console.print(f"made {folder}\n  next: {next_step}", highlight=False, soft_wrap=True)


@app.command()
def reset(number: Annotated[int, typer.Argument(min=1, max=6, help="An exercise")]) -> None:
    """Restore the starter files of an exercise; yours get the suffix .bak."""
    from checker.submission.workspace import reset_exercise

    restored = reset_exercise(own_workspace(), number)
    for file in restored:
        console.print(f"restored {file}", highlight=False, soft_wrap=True)
    console.print(
        "files of yours are next to it, as *.bak" if restored else "it is the starter already"
    )


@app.command()
def progress() -> None:
    """Show which criteria of your workspace passed when they were last checked."""
    from checker.run.progress import lines

    for line in lines(own_workspace(), CheckerSettings.from_environment().build_dir):
        print(line)


@app.command()
def diff(
    number: Annotated[int, typer.Argument(min=1, max=6, help="An exercise")],
    submission: Annotated[
        Path | None, typer.Option(help="The folder of a workspace; without it the one you are in")
    ] = None,
) -> None:
    """Show the difference between your exercise and the solution, without production parts."""
    from checker.submission.diff import exercise_diff

    lines = "\n".join(exercise_diff(number, submission or own_workspace()))
    console.print(Syntax(lines, "diff", background_color="default") if lines else "no difference")


@app.command()
def render(
    scorecard: Annotated[Path, typer.Argument(help="A scorecard.json")],
    form: Annotated[Form, typer.Option("--format")] = Form.HTML,
    out: Out = None,
) -> None:
    """Write a stored scorecard in another form; nothing is graded again."""
    deliver(read_scorecard(scorecard), form, out)


@app.command()
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the scripts, and stop")] = False,
) -> None:
    """Grade submissions, several at a time; begun again, it goes on where it stopped."""
    from checker.run import classroom
    from checker.run.batch import BatchRun
    from checker.run.packages import install
    from checker.run.runner import criteria_of

    config = CheckerSettings.from_environment()
    if dry_run:
        all_taken = classroom.print_intakes(sources, overrides, config, console)
        sys.exit(0 if all_taken else USER_ERROR)
    if requirements is not None:
        packages = install(requirements, out / "packages")
        config = config.model_copy(update={"extra_packages": packages})
    stop_on_signals()
    batch = BatchRun(sources, out, criteria_of(exercise), config, jobs, overrides, seed)
    cards = classroom.grade(batch, last_run(config), console)
    statuses = [exit_status(card, fail_under) for card in cards]
    sys.exit(max(statuses, default=0))


@app.command()
def compare(
    scorecards: Annotated[list[Path], typer.Argument(help="Scorecards, or folders that hold some")],
    out: Annotated[Path, typer.Option(help="The folder to write")] = Path("compared"),
    reference: Annotated[
        Path | None, typer.Option(help="The scorecard that stands first; else the last lab run's")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="A CSV of student and submission, for compare.csv")
    ] = None,
) -> None:
    """Put submissions side by side: a page, a CSV and a JSON file, and a page for each."""
    from checker.render import comparison

    config = CheckerSettings.from_environment()
    columns = comparison.compare(scorecards, reference or last_run(config), out, roster)
    console.print(f"{len(columns)} submissions: {out / 'index.html'}", highlight=False)


def own_workspace() -> Path:
    """Return the workspace that the shell is in; UserError in the solution and outside."""
    if WORKSPACE == ROOT:
        raise UserError(f"{Path.cwd()} is in no workspace", "cd YOUR_WORKSPACE, or lab new FOLDER")
    return WORKSPACE


def stop_on_signals() -> None:
    """End by SystemExit on SIGTERM and SIGHUP, so that all that was started ends too.

    A signal that is ignored, as by nohup, stays so; further ones do not disturb the end.
    """

    def stop(number: int, _: object) -> None:
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        sys.exit(STOPPED + number)

    both = (signal.SIGTERM, signal.SIGHUP)
    signals = [number for number in both if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        signal.signal(number, stop)


def folder_with_exercises(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds exercises; else the reference."""
    folders = (start, *start.parents)
    return next((f for f in folders if any(map(Path.is_dir, f.glob(EXERCISES)))), ROOT)


def last_run(config: CheckerSettings) -> Path | None:
    """The scorecard of the last `lab run`, if there is one of this version."""
    file = config.build_dir / SCORECARD
    with suppress(UserError):
        read_scorecard(file)
        return file
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


def main() -> None:
    """Run a command; a user's mistake is one sentence and status 2, a bug of ours status 3."""
    for warning in unknown_variables(CheckerSettings.model_fields):
        Console(stderr=True).print(
            f"[yellow]warning:[/] {warning}", highlight=False, soft_wrap=True
        )
    try:
        app()
    except UserError as error:
        print_error(error)
        sys.exit(USER_ERROR)
    except Exception as error:  # noqa: BLE001 - uncaught it ends with 1, and that some criteria failed
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            place = error.filename or Path.cwd()
            print_error(UserError(f"{place}: {error.strerror}", f"df -h . && ls -ld {place}"))
            sys.exit(USER_ERROR)
        traceback.print_exc()
        sys.exit(OUR_ERROR)


def print_error(error: UserError) -> None:
    message = f"[red]error:[/] {escape(str(error))}"
    Console(stderr=True).print(message, highlight=False, soft_wrap=True)
