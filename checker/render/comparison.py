"""Submissions side by side, from their scorecards: a page, a table, and a page for each of them."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker.render import comparison_page, html
from checker.verdict.brief import CRITERIA
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard, read_scorecard, write_whole
from lab.errors import UserError

SCORECARD = "scorecard.json"
PLACES = (SCORECARD, f"*/{SCORECARD}", f"scorecards/*/{SCORECARD}")
PAGES = "submissions"
FORMULA = ("=", "+", "-", "@", "\t")


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


def compare(files: Sequence[Path], reference: Path | None, out: Path) -> list[Column]:
    """Write index.html, compare.csv, compare.json and a page per submission into `out`.

    `files` are scorecards, or folders that hold some, such as what `lab grade` wrote. The
    reference comes first, then the others by points. Raises UserError where there is no scorecard.
    """
    columns = list(_columns(_scorecards(files), reference))
    figures = figures_of(columns)
    write_whole(out / "compare.csv", as_csv(columns, figures))
    write_whole(out / "compare.json", json.dumps(as_json(columns, figures), indent=2) + "\n")
    for stale in (out / PAGES).glob("[0-9][0-9][0-9]*_*.html"):  # a page has its rank in its name
        stale.unlink()
    for column in columns:
        write_whole(out / column.page, html.render(column.card))
    write_whole(out / "index.html", comparison_page.render(columns, figures))
    return columns


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


def as_csv(columns: Sequence[Column], figures: Sequence[Figure]) -> str:
    """A row per submission: points, a status per criterion, the figures."""
    text = io.StringIO()
    rows = csv.writer(text)
    ids = [criterion.id for criterion in CRITERIA]
    named = [f"{figure.identifier} {figure.name}" for figure in figures]
    rows.writerow(["submission", "passed", "points", "of", "seed", *ids, *named])
    for column in columns:
        card, status = column.card, column.card.status_of()
        rows.writerow(
            [
                _cell(card.submission),
                *(card.count(Status.PASS), card.score, card.max_score, card.seed),
                *(status.get(identifier, "") for identifier in ids),
                *(figure.of(column) for figure in figures),
            ]
        )
    return text.getvalue()


def as_json(columns: Sequence[Column], figures: Sequence[Figure]) -> dict[str, Any]:
    """The same, with what was measured."""
    return {
        "criteria": [{"id": c.id, "title": c.title} for c in CRITERIA],
        "figures": [{"id": figure.identifier, "name": figure.name} for figure in figures],
        "submissions": [
            {
                "submission": column.card.submission,
                "is_reference": column.is_reference,
                "page": column.page,
                "score": column.card.score,
                "max_score": column.card.max_score,
                "seed": column.card.seed,
                "criteria": {
                    result.criterion.id: {
                        "status": result.status.value,
                        "measured": result.measured,
                        "figures": result.figures,
                    }
                    for result in column.card.results
                },
            }
            for column in columns
        ],
    }


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


def _columns(files: Sequence[Path], reference: Path | None) -> Iterator[Column]:
    first = reference.resolve() if reference else None
    others = [read_scorecard(file) for file in files if file.resolve() != first]
    others.sort(key=lambda card: (-card.score, card.submission))
    if reference:
        yield Column(read_scorecard(reference), "reference.html", is_reference=True)
    for number, card in enumerate(others, start=1):
        slug = re.sub(r"[^A-Za-z0-9_-]+", "_", card.submission)[:60]
        yield Column(card, f"{PAGES}/{number:03d}_{slug}.html")


def _cell(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
