"""`lab grade` as its instructor sees it: what is found, how far it is, what came of it."""

import tempfile
import time
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
ESTIMATED_AFTER = (1, 4, 16, 64)


class Estimate:
    """How long a class will take, after the first graded submission, and some later ones.

    Submissions that an earlier run graded, or that cannot be taken in, take no time.
    """

    def __init__(self, submissions: int, jobs: int) -> None:
        self._left, self._jobs = submissions, jobs
        self._start, self._begun_at = time.monotonic(), utc_now().isoformat(timespec="seconds")
        self._graded = 0

    def after(self, card: Scorecard) -> str:
        """Return a line on what is left once a scorecard is there; "" where there is none."""
        self._left -= 1
        if card.provenance.graded_at < self._begun_at or not card.seconds:
            return ""
        self._graded += 1
        if not self._left or self._graded not in ESTIMATED_AFTER:
            return ""
        minutes = self.left_s(time.monotonic() - self._start) / 60
        return f"about {minutes:.0f} minutes left for {self._left} submissions"

    def left_s(self, elapsed_s: float) -> float:
        """Return the time for the others: those that other jobs grade now are nearly done."""
        under_way = min(self._jobs - 1, self._left)
        return elapsed_s * (self._left - under_way) / (self._graded + under_way)


def fetch_jars(config: CheckerSettings) -> None:
    """Fetch what exercise 5 needs while there is a network."""
    from lab.stack.flink import connector_jars
    from lab.stack.kafka.jars import fetch

    with suppress(UserError):  # who needs them says so again, and the other exercises go on
        fetch(config)
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

    Raises UserError when isolation is asked for and not possible here.
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
        estimate = Estimate(len(batch.sources), jobs)

        def report(card: Scorecard) -> None:
            bar.advance(task)
            bar.console.print(f"{escape(card.submission)}: {card.summary}", highlight=False)
            if line := estimate.after(card):
                bar.console.print(line, highlight=False)

        cards = replace(batch, config=config, jobs=jobs, on_card=report).grade()
    comparison.compare([batch.out], reference, batch.out)
    console.print(f"side by side: {batch.out / 'index.html'}", highlight=False)
    return cards
