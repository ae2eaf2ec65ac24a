"""`lab grade` as its instructor sees it: what is found, how far it is, what came of it."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from checker.render import comparison
from checker.run.batch import BatchRun
from checker.sandbox.isolation import chosen
from checker.settings import CheckerSettings
from checker.submission.intake import take_in
from checker.verdict.brief import BY_ID
from checker.verdict.results import Scorecard
from lab.errors import UserError
from lab.settings import utc_now

STREAMING = 5


def estimate(first: Scorecard, left: int, jobs: int) -> str:
    """Return a line on the time that is left, by the time of the first submission of a run."""
    minutes = first.seconds * left / jobs / 60
    return f"about {minutes:.0f} min left for {left} submissions"


def fetch_jars(config: CheckerSettings) -> None:
    """Fetch what exercise 5 needs while there is a network."""
    from lab.stack.flink import connector_jars
    from lab.stack.kafka.broker import kafka_jars

    with suppress(UserError):  # a check that needs them reports it, and the other exercises go on
        kafka_jars(config)
        connector_jars(config)


def print_intakes(
    sources: Sequence[Path], overrides: Path | None, config: CheckerSettings, console: Console
) -> bool:
    """Print what each submission holds; whether all could be taken in."""
    refused = 0
    with tempfile.TemporaryDirectory(prefix="lab-intake-") as scratch:
        for source in sources:
            try:
                found = escape(take_in(source, Path(scratch), config, overrides).described())
            except UserError as error:
                refused += 1
                found = f"[red]refused:[/] {escape(str(error))}"
            console.print(found, highlight=False, soft_wrap=True)
    return not refused


def grade(batch: BatchRun, reference: Path | None, console: Console) -> list[Scorecard]:
    """Grade all with a bar of progress, then put them side by side.

    Raises UserError when isolation is required and not possible here.
    """
    config, lacks = chosen(batch.config)
    if lacks:
        console.print(lacks, style="yellow", highlight=False)
    if config.isolation == "full" and any(BY_ID[i].exercise == STREAMING for i in batch.ids):
        fetch_jars(config)
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(batch.sources))
        jobs = 1 if lacks else batch.jobs
        begun_at, is_estimated = utc_now().isoformat(timespec="seconds"), False

        def report(card: Scorecard) -> None:
            nonlocal is_estimated
            bar.advance(task)
            bar.console.print(f"{escape(card.submission)}: {card.summary}", highlight=False)
            left = len(batch.sources) - int(bar.tasks[task].completed)
            if left and card.seconds and card.provenance.graded_at >= begun_at and not is_estimated:
                is_estimated = True
                bar.console.print(estimate(card, left, jobs), highlight=False)

        cards = replace(batch, config=config, jobs=jobs, on_card=report).grade()
    comparison.compare([batch.out], reference, batch.out)
    console.print(f"side by side: {batch.out / 'index.html'}", highlight=False)
    return cards
