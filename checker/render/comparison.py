"""Submissions side by side, from their scorecards: a page, a table, and a page for each of them."""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from checker.render import html
from checker.render.columns import (
    PAGES,
    Column,
    Figure,
    columns_of,
    errors_of,
    figures_of,
    passed_of,
    share_of,
)
from checker.render.copies import PAGE, Copy, read_copies, similar_code
from checker.render.copies import page_of as copies_page
from checker.render.text import most_points, points_of, reason
from checker.verdict.brief import CRITERIA, EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import write_whole
from lab.errors import UserError

SCRIPT = Path(__file__).parent / "templates" / "compare.js"
FORMULA = ("=", "+", "-", "@", "\t")


def compare(
    files: Sequence[Path], reference: Path | None, out: Path, roster: Path | None = None
) -> list[Column]:
    """Write index.html, compare.csv, compare.json and a page per submission into `out`.

    `files` are scorecards, or folders that hold some, such as what `lab grade` wrote. The
    reference comes first, then the others by points. Raises UserError where there is no scorecard.
    """
    columns = list(columns_of(files, reference))
    figures, copies = figures_of(columns), read_copies(files)
    students = read_roster(roster) if roster else {}
    write_whole(out / "compare.csv", as_csv(columns, figures, copies, students))
    written = as_json(columns, figures, copies)
    write_whole(out / "compare.json", json.dumps(written, indent=2) + "\n")
    write_whole(out / PAGE, copies_page(copies))
    for stale in (out / PAGES).glob("[0-9][0-9][0-9]*_*.html"):  # a page has its rank in its name
        stale.unlink()
    for column in columns:
        write_whole(out / column.page, html.render(column.card))
    write_whole(out / "index.html", page_of(columns, figures, copies))
    return columns


def page_of(columns: Sequence[Column], figures: Sequence[Figure], copies: Sequence[Copy]) -> str:
    """HTML; its one script is our own, and the page lets no other run."""
    script = SCRIPT.read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return html.page(
        "compare.html",
        columns=columns,
        criteria=CRITERIA,
        exercises=EXERCISES,
        figures=figures,
        reason=reason,
        points_of=points_of,
        share_of=share_of,
        passed_of=passed_of,
        errors=errors_of(columns),
        similar_code=lambda column: similar_code(copies, column.card.submission),
        copies_page=PAGE,
        fixed=2 + sum(column.is_reference for column in columns),
        script=Markup(script),
        script_hash=Markup(f"'sha256-{digest}'"),
    )


def read_roster(file: Path) -> dict[str, list[str]]:
    """Return the students of each submission: the columns `student` and `submission` of a CSV."""
    students: dict[str, list[str]] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            for row in csv.DictReader(text):
                students.setdefault(row["submission"].strip(), []).append(row["student"].strip())
    except (OSError, UnicodeDecodeError, LookupError, AttributeError, csv.Error) as error:
        problem = f"{file} is no CSV file with the columns student and submission in each row"
        raise UserError(problem, "export the course's roster with these two columns") from error
    if not students:
        raise UserError(f"{file} has no row with the columns student and submission")
    return students


def as_csv(
    columns: Sequence[Column],
    figures: Sequence[Figure],
    copies: Sequence[Copy],
    students: Mapping[str, Sequence[str]],
) -> str:
    """Return a row per submission: its points, a status per criterion, the figures.

    With a roster the student comes first: one row for each, also without a submission.
    """
    ids = [criterion.id for criterion in CRITERIA]
    named = [f"{figure.identifier} {figure.name}" for figure in figures]
    table = [
        ["submission", "passed", "points", "of", "errors", "seed", *ids, *named, "similar code"]
    ]
    table += [_csv_row(column, figures, copies) for column in columns]
    text = io.StringIO()
    csv.writer(text).writerows(with_students(table, students) if students else table)
    return text.getvalue()


def with_students(
    table: Sequence[Sequence[Any]], students: Mapping[str, Sequence[str]]
) -> Iterator[list[Any]]:
    """Yield the rows with their students; then the students whose submission has no row."""
    head, *rows = table
    yield ["student", *head]
    cells = {_cell(name): [_cell(student) for student in of] for name, of in students.items()}
    for row in rows:
        yield from ([student, *row] for student in cells.pop(row[0], [""]))
    yield from ([student, name] for name, of in cells.items() for student in of)


def _csv_row(column: Column, figures: Sequence[Figure], copies: Sequence[Copy]) -> list[Any]:
    card, status = column.card, column.card.status_of()
    return [
        _cell(card.submission),
        *(card.count(Status.PASS), card.score, most_points(card.results)),
        *(card.count(Status.ERROR), card.seed),
        *(status.get(criterion.id, "") for criterion in CRITERIA),
        *(figure.of(column) for figure in figures),
        _cell("; ".join(similar_code(copies, card.submission))),
    ]


def as_json(
    columns: Sequence[Column], figures: Sequence[Figure], copies: Sequence[Copy]
) -> dict[str, Any]:
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
                "max_score": most_points(column.card.results),
                "errors": column.card.count(Status.ERROR),
                "seed": column.card.seed,
                "similar_code": similar_code(copies, column.card.submission),
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


def _cell(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
