"""`lab grade` as its instructor sees it: what is found, how far it is, what came of it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from lab.errors import UserError
from lab.grading import comparison
from lab.grading.batch import Batch, Progress
from lab.grading.batch import grade as grade_batch
from lab.grading.intake import take_in
from lab.grading.isolation import NOT_ISOLATED, assert_works
from lab.grading.results import Scorecard


def say_what_is_found(sources: Sequence[Path], overrides: Path | None, console: Console) -> bool:
    """Print what each submission holds; whether all could be taken in."""
    refused = 0
    with tempfile.TemporaryDirectory(prefix="lab-intake-") as scratch:
        for source in sources:
            try:
                found = escape(take_in(source, Path(scratch), overrides).described())
            except UserError as error:
                refused += 1
                found = f"[red]refused:[/] {escape(str(error))}"
            console.print(found, highlight=False, soft_wrap=True)
    return not refused


def grade(
    batch: Batch, seed: int | None, reference: Path | None, console: Console
) -> list[Scorecard]:
    """Grade all with a bar of progress, then put them side by side.

    Raises UserError when isolation is asked for and not possible here.
    """
    if batch.config.isolation == "none":
        console.print(NOT_ISOLATED, style="yellow", highlight=False)
    else:
        assert_works()
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(batch.sources))

        def say(card: Scorecard) -> None:
            bar.advance(task)
            bar.console.print(f"{escape(card.submission)}: {card.summary}", highlight=False)

        cards = grade_batch(batch, seed, Progress(on_card=say))
    comparison.compare([batch.out], reference, batch.out)
    console.print(f"side by side: {batch.out / 'index.html'}", highlight=False)
    return cards
