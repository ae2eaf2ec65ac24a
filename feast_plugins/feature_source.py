"""Check a feature view's Parquet source: its files, their columns, and the types to read."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
from feast import FeatureView, Field, RepoConfig
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID

from feast_plugins.source_files import SourceError, SourceFiles, source_files
from feast_plugins.source_types import (
    declared_type,
    is_too_wide,
    kind,
    promoted,
    promoted_key,
    returned_type,
    takes,
    widened,
)

__all__ = ["SourceError", "check_source", "source_columns", "time_names"]


@dataclass(frozen=True)
class CheckedSource:
    """A source's files, their schemas, and the type in which each column is read."""

    files: SourceFiles
    schemas: Mapping[str, pa.Schema]
    types: Mapping[str, pa.DataType]

    @property
    def is_alike(self) -> bool:
        """Return True if every file stores the columns in the same types."""
        return all(len(set(self.types_of(name).values())) == 1 for name in self.types)

    def types_of(self, column: str) -> dict[str, pa.DataType]:
        """Return the type of a column in each file."""
        return {file: schema.field(column).type for file, schema in self.schemas.items()}

    def returned_type(self, column: str) -> pa.DataType:
        """Return the type in which a column is returned: numbers in the files' width, if wider."""
        return reduce(widened, self.types_of(column).values(), self.types[column])


def check_source(view: FeatureView, config: RepoConfig) -> CheckedSource:
    """Check that a view's source holds what the view declares.

    Raises SourceError for a file that is missing or unreadable, a column that is missing, of
    another kind than declared, or of types that Arrow cannot promote, and times that are none.
    """
    columns = source_columns(view)
    source = check_columns(view.name, view.batch_source, list(columns.values()), config)
    types = {name: key_type(source, columns[name]) for name in view.join_keys if name in columns}
    types |= {feature.name: _feature_type(source, feature, columns) for feature in view.features}
    by_column = {columns[name]: found for name, found in types.items()}
    return CheckedSource(source.files, source.schemas, {**source.types, **by_column})


def _feature_type(source: CheckedSource, feature: Field, columns: Mapping[str, str]) -> pa.DataType:
    """Return the type that a feature is read in, after a look at each file."""
    column = columns[feature.name]
    wanted = declared_type(feature.dtype)
    if wanted is None:
        return returned_type(feature.dtype, promoted_type(source, column))
    for file, found in source.types_of(column).items():
        if not takes(wanted, found):
            raise SourceError(
                f"{source.files.owner}: {column} of {file} is {found}, "
                f"declared as {feature.dtype}{_stored_elsewhere(source, column, found)}"
            )
    return wanted


def key_type(source: CheckedSource, column: str) -> pa.DataType:
    """Return the type that a join key is read in; raises SourceError if there is none."""
    found = promoted_type(source, column, promoted_key)
    if pa.types.is_nested(found):
        raise SourceError(f"{source.files.owner}: {column} is {found}, which cannot be a key")
    return found


def _stored_elsewhere(source: CheckedSource, column: str, wrong: pa.DataType) -> str:
    others = ((f, t) for f, t in source.types_of(column).items() if kind(t) != kind(wrong))
    return next((f"; {file} has {found}" for file, found in others), "")


def check_columns(
    owner: str, source: DataSource, columns: Sequence[str], config: RepoConfig
) -> CheckedSource:
    """Check that each file of a source has `columns`, and that its times are times.

    Raises SourceError as check_source does. The types are those of the first file.
    """
    files = source_files(owner, source, config)
    schemas = files.schemas()
    for file, schema in schemas.items():
        first = _first_of_alike(owner, file, schema)
        names = set(schema.names)
        for column in columns:
            if column not in names:
                raise SourceError(f"{owner}: {file} has no column {column}")
            if (before := first[column.lower()]) != column:  # DuckDB would read the other one
                raise SourceError(f"{owner}: {file} has {before} before {column}; rename one")
            if is_too_wide(found := schema.field(column).type):
                raise SourceError(f"{owner}: {column} of {file} is {found}, which is too wide")
        _check_times(owner, file, schema, source)
    first = schemas[files.names[0]]
    return CheckedSource(files, schemas, {name: first.field(name).type for name in columns})


def _first_of_alike(owner: str, file: str, schema: pa.Schema) -> dict[str, str]:
    """Return the first of the columns whose names differ in case only, by the lower case."""
    first: dict[str, str] = {}
    for name, count in Counter(schema.names).items():
        if count > 1:
            raise SourceError(f"{owner}: {file} has {count} columns {name}")
        first.setdefault(name.lower(), name)
    return first


def promoted_type(
    source: CheckedSource,
    column: str,
    promote: Callable[[Mapping[str, pa.DataType]], pa.DataType] = promoted,
) -> pa.DataType:
    """Return the type that the files' types are promoted to; raises SourceError if none is."""
    try:
        return promote(source.types_of(column))
    except pa.ArrowTypeError as error:
        raise SourceError(f"{source.files.owner}: {column} {error}") from error


def source_columns(view: FeatureView) -> dict[str, str]:
    """Return the source's column for each name that the view uses."""
    source = view.batch_source
    names = [*view.join_keys, *(f.name for f in view.features), *time_names(source)]
    return _originals(source, [name for name in names if name != DUMMY_ENTITY_ID])


def time_names(source: DataSource) -> list[str]:
    """Return the names of the event time and, if the source has one, of the created time."""
    return [n for n in (source.timestamp_field, source.created_timestamp_column) if n]


def _originals(source: DataSource, names: Sequence[str]) -> dict[str, str]:
    original = {new: old for old, new in source.field_mapping.items()}
    return {name: original.get(name, name) for name in names}


def _check_times(owner: str, file: str, schema: pa.Schema, source: DataSource) -> None:
    for column in _originals(source, time_names(source)).values():
        found = schema.field(column).type
        if kind(found) not in ("timestamp", "date", "text", "integer", "null"):
            raise SourceError(f"{owner}: {column} of {file} is {found}, not a timestamp")
