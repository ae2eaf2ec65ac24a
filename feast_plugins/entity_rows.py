"""Entity rows, to which features are joined: a pandas frame, an Arrow table or a DuckDB query."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from feast_plugins.duckdb_session import connect, quoted, tables

EntityInput: TypeAlias = pd.DataFrame | pa.Table | str
EVENT_TIME = "event_timestamp"


class EntityRowsError(ValueError):
    """The entity rows cannot be joined; names the column, and the view where there is one."""


def entity_rows(given: EntityInput, repo_path: Path) -> "EntityRows":
    """Return the user's input as entity rows.

    Raises EntityRowsError for times of another type, and Feast's
    EntityTimestampInferenceException where no column qualifies as the time.
    """
    rows = _rows(given, repo_path)
    kind = rows.schema([rows.event_time]).field(0).type
    if not pa.types.is_timestamp(kind):
        raise EntityRowsError(f"{rows.event_time} of the entity rows is {kind}, not a timestamp")
    return rows


def _rows(given: EntityInput, repo_path: Path) -> "EntityRows":
    if isinstance(given, str):
        return QueryRows(given, repo_path)
    if not isinstance(given, pd.DataFrame | pa.Table):
        raise EntityRowsError(f"entity rows cannot be a {type(given).__name__}")
    _check_names(given)
    return TableRows(given) if isinstance(given, pa.Table) else FrameRows(given)


def _check_names(rows: pd.DataFrame | pa.Table) -> None:
    names = rows.column_names if isinstance(rows, pa.Table) else rows.columns
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise EntityRowsError(f"the entity rows have more than one column {twice[0]}")
    if unnamed := [name for name in names if not isinstance(name, str)]:
        raise EntityRowsError(f"a column of the entity rows is called {unnamed[0]!r}, not a text")


class TableRows:
    """Entity rows in Arrow, in their order; `event_time` is the column of their times."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.names: list[str] = table.column_names
        self.event_time = _event_time(table.schema)

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Return Arrow's types of `columns`."""
        return self._columns(columns).schema

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Yield some columns of the rows, at most `rows` at a time; at least one chunk."""
        table = self._columns(columns)
        yield from (table.slice(n, rows) for n in range(0, max(len(table), 1), rows))

    def time_range(self) -> tuple[datetime | None, datetime | None]:
        """Return the first and the last time, in UTC; no zone is UTC. None where there is none."""
        times = self._columns([self.event_time])[0]
        in_utc = times.cast(pa.timestamp("us", "UTC"), safe=False)
        ends = pc.min_max(in_utc).as_py()
        return ends["min"], ends["max"]

    def _columns(self, columns: Sequence[str]) -> pa.Table:
        return self._table.select(columns)


class FrameRows(TableRows):
    """Entity rows in pandas. A column is converted whole, and only when a join reads it."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = _with_parsed_times(frame.reset_index(drop=True))
        self.names = list(frame.columns)
        kinds = self.frame.dtypes.to_dict()
        self.event_time = infer_event_timestamp_from_entity_df(kinds)
        self._converted: dict[str, pa.Array] = {}

    def _columns(self, columns: Sequence[str]) -> pa.Table:
        return pa.table({name: self._column(name) for name in columns})

    def _column(self, name: str) -> pa.Array:
        if name not in self._converted:
            try:
                self._converted[name] = pa.array(self.frame[name], from_pandas=True)
            except pa.ArrowException as error:
                raise EntityRowsError(f"{name} of the entity rows: {error}") from error
        return self._converted[name]


class QueryRows:
    """Entity rows of a query, which runs again for each read; one chunk is in memory at a time."""

    def __init__(self, query: str, repo_path: Path) -> None:
        self._query, self._repo_path = query, repo_path
        with connect(repo_path) as connection:
            self._schema = self._relation(connection).limit(0).to_arrow_table().schema
        self.names: list[str] = self._schema.names
        self.event_time = _event_time(self._schema)

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([self._schema.field(name) for name in columns])

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        with connect(self._repo_path) as connection:
            relation = self._relation(connection).select(*map(duckdb.ColumnExpression, columns))
            yield from tables(relation.to_arrow_reader(rows))

    def time_range(self) -> tuple[datetime | None, datetime | None]:
        time = quoted(self.event_time)
        with connect(self._repo_path) as connection:
            relation = self._relation(connection).aggregate(f"[min({time}), max({time})] AS ends")
            ends = relation.to_arrow_table()["ends"].combine_chunks().flatten()
        oldest, newest = ends.cast(pa.timestamp("us", "UTC"), safe=False).to_pylist()
        return oldest, newest

    def _relation(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        try:
            relation = connection.sql(self._query)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise EntityRowsError(f"the entity rows' query fails: {reason}") from error
        if relation is None:
            raise EntityRowsError("the entity rows' query gives no rows: it must be a SELECT")
        return relation


EntityRows: TypeAlias = TableRows | QueryRows


def _event_time(schema: pa.Schema) -> str:
    kinds = {f.name: "datetime64[us]" if pa.types.is_timestamp(f.type) else "O" for f in schema}
    return str(infer_event_timestamp_from_entity_df(kinds))


def _with_parsed_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its times parsed, where they are text or Python's own."""
    if frame.empty:  # pandas makes floats of a list without values
        frame = frame.astype(dict.fromkeys(frame.select_dtypes("float"), object))
    if EVENT_TIME not in frame:
        return frame
    times = frame[EVENT_TIME].infer_objects()
    if not pd.api.types.is_object_dtype(times) and not pd.api.types.is_string_dtype(times):
        return frame
    try:
        return frame.assign(**{EVENT_TIME: pd.to_datetime(times, utc=True)})
    except (ValueError, TypeError) as error:
        reason = str(error).partition(". ")[0]
        raise EntityRowsError(f"{EVENT_TIME} of the entity rows: {reason}") from error
