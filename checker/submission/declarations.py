"""Compares what a stored view declares with its table, and with the brief."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.sandbox import untrusted
from checker.submission.placing import own_view, source_path
from checker.submission.registry import View
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError

SHORTEST_TTL = timedelta(days=1)  # a known view has a row of each entity every midnight
LONGEST_TTL = timedelta(days=3_650)
NUMBERS = ("INT32", "INT64", "FLOAT", "DOUBLE")
KINDS = {**dict.fromkeys(NUMBERS, "number"), "STRING": "text", "BOOL": "truth value"}


@dataclass(frozen=True)
class OwnTables:
    """Schemas of the tables that a submission brings or prepares, by view."""

    schemas: dict[str, pa.Schema]


def own_tables(submission: Submission) -> OwnTables:
    """Read the schemas that are there before the hidden tables replace the files."""
    found = {}
    for view in submission.registry.views.values():
        path = source_path(submission, view)
        with suppress(SubmissionError):  # a hidden table may replace the file, or 1.3 names it
            found[view.name] = _parquet(submission, path)[0]
    return OwnTables(found)


def view_problem(submission: Submission, view: View) -> str:
    """Return the first mistake of a stored view, or an empty string."""
    return next(filter(None, _problems(submission, view)), "")


def _problems(submission: Submission, view: View) -> Iterator[str]:
    path = source_path(submission, view)
    if not path.is_file():
        yield f"there is no {path.name}"
        return
    schema, rows = _parquet(submission, path)
    yield "" if rows else f"{path.name} is empty"
    own = submission.running(OwnTables)
    own_schema = own.schemas.get(view.name) if own else None
    known = [k for k in KNOWN_VIEWS.values() if own_view(submission, k) == view]
    yield _missing_column(path, view, own_schema or schema)
    yield _time_problem(view, is_made_up=bool(known) and own_schema is None)
    yield _ttl_problem(view, SHORTEST_TTL if known else timedelta(0))
    for each in known:
        key = submission.names.key(each.key)
        if key in submission.registry.entities.values() and view.join_keys != (key,):
            yield f"it is joined on {', '.join(view.join_keys) or 'nothing'}, not on {key}"
        yield _shared_file(submission, view, path)
        own_names = [submission.names.feature(each.name, name)[1] for name in each.features]
        wrong = [n for n in own_names if view.features.get(n, NUMBERS[0]) not in NUMBERS]
        yield f"it declares {wrong[0]} as {view.features[wrong[0]]}, not a number" if wrong else ""
    yield _type_problem(submission, path, view, own_schema or schema)


def _parquet(submission: Submission, path: Path) -> tuple[pa.Schema, int]:
    with untrusted.opened(path, submission.root) as file:
        try:
            table = pq.ParquetFile(file)
            return table.schema_arrow, table.metadata.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SubmissionError(f"{path.name} is not a Parquet file: {error!s:.200}") from error


def _missing_column(path: Path, view: View, schema: pa.Schema) -> str:
    named = [*view.features, *view.join_keys, view.source.event_time, view.source.created]
    missing = sorted({view.source.column(name) for name in named if name} - set(schema.names))
    return f"{path.name} has no column {', '.join(missing)}" if missing else ""


def _time_problem(view: View, *, is_made_up: bool) -> str:
    """Return a wrong column of times; only an own table can have columns of other names."""
    event, created = view.source.event_time, view.source.created
    if CREATED in (event, view.source.column(event)):
        return f"its event time is {CREATED}"
    if EVENT_TIME in (created, view.source.column(created)):
        return f"its created time is {EVENT_TIME}"
    strange = [name for name in (event, created) if name not in (EVENT_TIME, CREATED, "")]
    if is_made_up and strange:
        return f"no table has a column {strange[0]}: prepare one, or name {EVENT_TIME}"
    return ""


def _ttl_problem(view: View, shortest: timedelta) -> str:
    if not view.ttl:
        return "it has no TTL"
    if view.ttl < shortest:
        return f"its TTL is {view.ttl}, and its rows are a day apart"
    return f"its TTL is {view.ttl.days} days: nothing expires" if view.ttl > LONGEST_TTL else ""


def _shared_file(submission: Submission, view: View, path: Path) -> str:
    """Return the known view of another entity that reads the same file."""
    others = [own_view(submission, known) for known in KNOWN_VIEWS.values()]
    for other in others:
        if other and other != view and source_path(submission, other) == path:
            return f"it reads {path.name}, as {other.name} does"
    return ""


def _type_problem(submission: Submission, path: Path, view: View, schema: pa.Schema) -> str:
    for name, declared in view.features.items():
        column = view.source.column(name)
        there = _kind(schema.field(column).type)
        kind = KINDS.get(declared)
        if kind and there and kind != there and (kind, there) != ("number", "truth value"):
            return f"it declares {name} as {declared}, and {path.name} has a {there}"
        if declared.startswith("INT") and pa.types.is_floating(schema.field(column).type):
            values = untrusted.table(path, submission.root).get(column)
            if values is not None and (values.dropna() % 1 != 0).any():
                return f"it declares {name} as {declared}, and its values have fractions"
    return ""


def _kind(arrow: pa.DataType) -> str | None:
    if pa.types.is_dictionary(arrow):
        arrow = arrow.value_type
    if pa.types.is_boolean(arrow):
        return "truth value"
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        return "text"
    is_number = pa.types.is_integer(arrow) or pa.types.is_floating(arrow)
    return "number" if is_number or pa.types.is_decimal(arrow) else None
