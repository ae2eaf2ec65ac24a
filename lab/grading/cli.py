"""The commands of grading: lab new · check · render · compare."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from lab.errors import UserError
from lab.grading.outcome import Status
from lab.grading.render import RENDERERS, Form
from lab.grading.results import Scorecard, read_scorecard, write_whole
from lab.settings import settings

SOME_FAILED, USER_ERROR, OUR_ERROR = 1, 2, 3

REFERENCE = settings.build_dir / "scorecard.json"
console = Console()

Out = Annotated[Path | None, typer.Option(help="The file to write; without it, standard output")]


def check(
    number: Annotated[int | None, typer.Argument(help="One exercise; without it all 35")] = None,
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
        from lab.grading.explain import explain as explanation

        Console().print(Markdown(explanation(explain)))
        return
    from lab.grading import checking

    if out is not None and form is None:
        raise UserError("--out needs --format", "lab check --format html --out scorecard.html")
    console = Console(stderr=form is not None and out is None)
    if watch:
        with suppress(KeyboardInterrupt):
            checking.watch(submission, number, seed, console)
        return
    card = checking.check(submission, number, seed, console)
    if form is not None:
        deliver(card, form, out)
    sys.exit(exit_status(card))


def new(folder: Annotated[Path, typer.Argument(help="A folder that is not there yet")]) -> None:
    """Make a learner's workspace: starter files, the contract and the errata."""
    from lab.grading.workspace import make_workspace

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


def compare(
    scorecards: Annotated[list[Path], typer.Argument(help="Scorecards, or folders that hold some")],
    out: Annotated[Path, typer.Option(help="The folder to write")] = Path("compared"),
    reference: Annotated[
        Path | None, typer.Option(help="The scorecard that stands first; else the last lab run's")
    ] = None,
) -> None:
    """Put submissions side by side: a page, a CSV and a JSON file, and a page for each."""
    from lab.grading import comparison

    if reference is None and REFERENCE.exists():
        reference = REFERENCE
    columns = comparison.compare(scorecards, reference, out)
    console.print(f"{len(columns)} submissions: {out / 'index.html'}", highlight=False)


def deliver(card: Scorecard, form: Form, out: Path | None) -> None:
    """Write a form of a scorecard to a file, or to standard output."""
    text = RENDERERS[form](card)
    if out is None:
        sys.stdout.write(text)
    else:
        write_whole(out, text)


def exit_status(card: Scorecard) -> int:
    """0 when nothing failed, 1 when a criterion did, 3 when the error is ours."""
    if card.count(Status.ERROR):
        return OUR_ERROR
    return SOME_FAILED if card.count(Status.FAIL) or card.count(Status.SKIPPED) else 0
