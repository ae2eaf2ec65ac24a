"""Read the figures next to each feature's name in the files of a report."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from checker.sandbox import untrusted
from checker.verdict.outcome import SubmissionError

LONGEST = 2**23  # bytes of a file; a sparse one has no end
EPOCH = 1e8  # larger numbers are times
SAME = 0.02
TAG = re.compile(r"<[^>]*>")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]?|\d{1,2}:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d\b)?")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)")

Figures = dict[str, set[float]]


def text_of(file: Path, folder: Path) -> str:
    """Return the text of a report, or of a Parquet file's rows; no text if it is unreadable."""
    with suppress(SubmissionError):
        if file.suffix == ".parquet":
            return str(untrusted.table(file, folder).to_csv(index=False, header=False))
        with untrusted.opened(file, folder) as opened:
            return opened.read(LONGEST).decode(errors="replace")
    return ""


def figures_in(texts: Iterable[str], names: Collection[str]) -> Figures:
    """Return the numbers after each name, up to the next name; times are no figures."""
    found: Figures = defaultdict(set)
    for text in texts:
        for rendered in (TAG.sub(" ", text), "\n".join(_rows_of_json(text))):
            for name, numbers in _after_names(TIME.sub(" ", rendered), names).items():
                found[name] |= numbers
    return found


def _after_names(text: str, names: Collection[str]) -> Figures:
    """Without a number between the names, as in a table's header, all numbers count for all."""
    any_name = "|".join(re.escape(name) for name in names)
    places = list(re.finditer(rf"(?:\b|__)({any_name})\b", text))
    if not places:
        return {}
    ends = [*(place.start() for place in places[1:]), len(text)]
    found: Figures = {}
    for place, end in zip(places, ends, strict=True):
        found.setdefault(place[1], set()).update(_numbers(text[place.end() : end]))
    if not any(found[name] for name in found if name != places[-1][1]):
        return {name: _numbers(text) for name in found}
    return found


def _numbers(text: str) -> set[float]:
    return {number for found in NUMBER.findall(text) if abs(number := float(found)) < EPOCH}


def _rows_of_json(text: str) -> Iterator[str]:
    """Yield the rows of tables that JSON stores by column."""
    try:
        value = untrusted.parsed(text)
    except (ValueError, RecursionError):
        return
    tables = [value, *value.values()] if isinstance(value, dict) else []
    for table in tables:
        columns = [_cells(column) for column in table.values()] if isinstance(table, dict) else []
        yield from (" ".join(row) for row in zip(*filter(None, columns), strict=False))


def _cells(column: Any) -> list[str]:
    cells = column.values() if isinstance(column, dict) else column
    return [str(cell) for cell in cells] if isinstance(column, dict | list) else []


def unmoved(before: Figures, after: Figures, names: Iterable[str]) -> list[str]:
    """Return the features with the same figures twice."""
    return [name for name in names if before[name] == after[name]]


def moved(before: Figures, after: Figures, names: Iterable[str]) -> list[str]:
    """Return the features that have no figure in common."""
    return [name for name in names if not _has_common(before[name], after[name])]


def _has_common(before: set[float], after: set[float]) -> bool:
    return any(abs(one - other) <= SAME for one in before for other in after)
