"""Read the rows of a checked source into polars, each column in the type that the check found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from feast import FeatureView

from feast_plugins.asof_join import CREATED, TIME
from feast_plugins.feature_source import CheckedSource, source_columns
from feast_plugins.source_files import UNREADABLE, SourceError
from feast_plugins.source_types import convert, polars_type


def read_source(view: FeatureView, features: Sequence[str], source: CheckedSource) -> pl.DataFrame:
    """Return the view's rows: join keys, `features` as declared, TIME and CREATED in UTC.

    Raises SourceError for a value that does not fit the declared type.
    """
    columns, batch = source_columns(view), view.batch_source
    names = [*(key for key in view.join_keys if key in columns), *features]
    times = {TIME: batch.timestamp_field, CREATED: batch.created_timestamp_column}
    return read_columns(
        source,
        {name: columns[name] for name in names},
        {alias: columns[name] for alias, name in times.items() if name},
    )


def read_columns(
    source: CheckedSource, columns: Mapping[str, str], times: Mapping[str, str]
) -> pl.DataFrame:
    """Return columns of all files under new names, converted; `times` in UTC without a zone."""
    files = [_Rows(source, file, columns, times) for file in source.files.names]
    try:
        return pl.concat(file.frame() for file in files).collect()
    except UNREADABLE as error:
        for file in files:
            file.raise_its_error()
        raise SourceError(
            f"{source.files.owner}: {source.files.path} cannot be read as declared: {error}"
        ) from error


@dataclass(frozen=True)
class _Rows:
    """The rows of one file; new names by their columns."""

    source: CheckedSource
    file: str
    columns: Mapping[str, str]
    times: Mapping[str, str]

    def frame(self) -> pl.LazyFrame:
        scan = self._scan()
        found = scan.collect_schema()
        return scan.select(self._converted(found, name).alias(name) for name in self._all)

    def raise_its_error(self) -> None:
        """Raise a SourceError that names the file, and the value if it is one."""
        try:
            self.frame().collect()
        except UNREADABLE as error:
            where = f"{self.source.files.owner}: {self.file} cannot be read as declared"
            raise SourceError(f"{where}: {self._misfit() or error}") from error

    def _misfit(self) -> str | None:
        try:
            found = self._scan().collect_schema()
            for name, column in self._all.items():
                is_lost = self._converted(found, name, strict=False).is_null()
                is_missing = pl.col(column).is_null()
                if found[column].is_float():
                    is_missing |= pl.col(column).is_nan()
                lost = self._scan().filter(is_lost & ~is_missing).select(column).head(1).collect()
                if len(lost):
                    wanted = "a time" if name in self.times else self.source.types[column]
                    return f"{lost[column][0]!r} of {column} has no place in {wanted}"
        except UNREADABLE:
            return None  # the rows themselves are broken: the caller reports that error
        return None

    def _scan(self) -> pl.LazyFrame:
        return self.source.files.scan(self.file, list(dict.fromkeys(self._all.values())))

    @property
    def _all(self) -> dict[str, str]:
        return {**self.times, **self.columns}

    def _converted(self, found: pl.Schema, name: str, *, strict: bool = True) -> pl.Expr:
        column, is_time = self._all[name], name in self.times
        wanted = pl.Datetime("us") if is_time else polars_type(self.source.types[column])
        return convert(pl.col(column), found[column], wanted, strict=strict)
