"""What a view's source holds, and what arrived in it lately."""

from datetime import datetime, timedelta
from functools import cached_property

import polars as pl
import pyarrow as pa
from feast import FeatureStore, FeatureView

from feast_plugins.feature_source import as_utc, check_columns, file_path, source_columns
from feast_plugins.parquet_files import parquet_files


class Arrivals:
    """The rows of a view's source by the moment at which they arrived, as seen at `as_of`.

    Every method raises SourceError for files that are missing, empty, or without keys and times.
    """

    def __init__(self, store: FeatureStore, view: FeatureView, as_of: datetime) -> None:
        self.view, self._as_of, self._config = view, as_of, store.config
        self._path = file_path(view.name, view.batch_source, store.config)
        self._names = {old: new for new, old in source_columns(view).items()}
        self._arrived = times_of(view)[-1]

    @cached_property
    def schema(self) -> dict[str, pa.DataType]:
        """The columns of the files, in the view's words."""
        source, columns = self.view.batch_source, source_columns(self.view)
        needed = [columns[key] for key in self.view.join_keys]
        needed += [columns[time] for time in times_of(self.view)]
        schemas = check_columns(self.view.name, source, needed, self._config)
        found = schemas[parquet_files(self._path)[0]]
        return {self._names.get(field.name, field.name): field.type for field in found}

    def within(self, window: timedelta) -> pl.DataFrame:
        """All columns of the rows that arrived in the window before as-of."""
        arrived = pl.col(self._arrived)
        return self._rows().filter(arrived > self._as_of - window).collect()

    def newest(self) -> datetime | None:
        """When the newest row arrived."""
        newest: datetime | None = self._rows().select(pl.col(self._arrived).max()).collect().item()
        return newest

    def by_day(self, days: int) -> list[int]:
        """Rows that arrived in each of the last days, counted back from as-of, youngest first."""
        age = (pl.lit(self._as_of) - pl.col(self._arrived)).dt.total_days()
        counts = self._rows().group_by(age.alias("day")).len().collect()
        found = dict(counts.filter(pl.col("day") < days).iter_rows())
        return [found.get(day, 0) for day in range(days)]

    def ids(self) -> set[str]:
        """Every entity of the view."""
        (key,) = self.view.join_keys
        return set(self._rows().select(key).unique().collect()[key])

    def _rows(self) -> pl.LazyFrame:
        here = {old: new for old, new in self._names.items() if new in self.schema}
        rows = pl.scan_parquet(parquet_files(self._path)).rename(here)
        arrived = as_utc(pl.col(self._arrived)).dt.replace_time_zone("UTC")
        return rows.with_columns(arrived).filter(arrived <= self._as_of)


def times_of(view: FeatureView) -> list[str]:
    """The columns of a row's event time and, if there is one, of its creation."""
    source = view.batch_source
    return [time for time in (source.timestamp_field, source.created_timestamp_column) if time]
