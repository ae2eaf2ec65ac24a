"""Columns of the comparison: a submission each, and the figures that compare them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checker.render.text import most_points
from checker.verdict.brief import CRITERIA
from checker.verdict.outcome import Status
from checker.verdict.results import SCORECARD, Result, Scorecard, read_scorecard
from lab.errors import UserError

PLACES = (SCORECARD, f"*/{SCORECARD}", f"scorecards/*/{SCORECARD}")
PAGES = "submissions"


@dataclass(frozen=True)
class Column:
    """One submission: its scorecard, the name of its page, and whether it is the reference."""

    card: Scorecard
    page: str
    is_reference: bool = False

    def result(self, identifier: str) -> Result | None:
        return next((r for r in self.card.results if r.criterion.id == identifier), None)


@dataclass(frozen=True)
class Figure:
    """A measured figure of a criterion, such as 4.2 "p95, ms"."""

    identifier: str
    name: str

    def of(self, column: Column) -> float | None:
        result = column.result(self.identifier)
        return result.figures.get(self.name) if result else None


def share_of(results: Sequence[Result]) -> float:
    """Points as a share of those that are possible; errors of ours are in neither."""
    most = most_points(results)
    return sum(result.points for result in results) / most if most else 0.0


def passed_of(columns: Sequence[Column], identifier: str) -> str:
    """Return how many submissions passed a criterion, of those for which it was graded."""
    found = [c.result(identifier) for c in columns if not c.is_reference]
    graded = [result for result in found if result and result.status is not Status.ERROR]
    return f"{sum(r.status is Status.PASS for r in graded)} of {len(graded)}" if graded else ""


def errors_of(columns: Sequence[Column]) -> list[str]:
    """The criteria that an error of ours left open, by submission."""
    by_column = {
        column.card.submission: [
            r.criterion.id for r in column.card.results if r.status is Status.ERROR
        ]
        for column in columns
    }
    return [f"{name}: {', '.join(ids)}" for name, ids in by_column.items() if ids]


def columns_of(paths: Sequence[Path], reference: Path | None) -> Iterator[Column]:
    """Yield the reference, then the others by their share of points.

    Raises UserError where there is no scorecard.
    """
    files = _scorecards(paths)
    first = reference.resolve() if reference else None
    others = [read_scorecard(file) for file in files if file.resolve() != first]
    others.sort(key=lambda card: (-share_of(card.results), card.submission))
    if reference:
        yield Column(read_scorecard(reference), "reference.html", is_reference=True)
    for number, card in enumerate(others, start=1):
        slug = re.sub(r"[^A-Za-z0-9_-]+", "_", card.submission)[:60]
        yield Column(card, f"{PAGES}/{number:03d}_{slug}.html")


def figures_of(columns: Sequence[Column]) -> list[Figure]:
    """All figures that any submission has, by criterion."""
    found = dict.fromkeys(
        Figure(result.criterion.id, name)
        for criterion in CRITERIA
        for column in columns
        if (result := column.result(criterion.id))
        for name in result.figures
    )
    return list(found)


def _scorecards(paths: Sequence[Path]) -> list[Path]:
    files = [
        file
        for path in paths
        for file in (
            sorted(f for place in PLACES for f in path.glob(place)) if path.is_dir() else [path]
        )
    ]
    if not files:
        raise UserError(
            f"no {SCORECARD} in {', '.join(map(str, paths))}", "lab grade DIR… --out graded"
        )
    return files
