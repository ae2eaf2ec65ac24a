"""What a view's source holds, and what arrived in it lately."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl
import pyarrow as pa
from feast import FeatureStore, FeatureView

from feast_plugins.feature_source import as_utc, check_columns, file_path, source_columns
from feast_plugins.parquet_files import parquet_files
from lab.settings import settings


@dataclass(frozen=True)
class Habit:
    """The longest time in which nothing arrived, and that a row took; how old the newest became."""

    pause: timedelta
    delay: timedelta
    age: timedelta


class Arrivals:
    """The rows of a view's source by the moment at which they arrived, as seen at `as_of`.

    Every method raises SourceError for files that are missing, empty, or without keys and times.
    """

    def __init__(self, store: FeatureStore, view: FeatureView, as_of: datetime) -> None:
        self.view, self._as_of, self._config = view, as_of, store.config
        self._path = file_path(view.name, view.batch_source, store.config)
        self._names = {old: new for new, old in source_columns(view).items()}
        self._happened, self._arrived = times_of(view)[0], times_of(view)[-1]

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

    def newest_values(self) -> datetime:
        """The moment that the newest of the values describe."""
        moment: datetime = self._rows().select(pl.col(self._happened).max()).collect().item()
        return moment

    def habit(self) -> Habit | None:
        """As of a month before; None where the history is too short to tell."""
        first, last = (timedelta(days=days) for days in settings.drift_reference_days)
        arrived, known = pl.col("arrived"), pl.col("moment").cum_max()
        by_arrival = (
            self._rows()
            .group_by(arrived=pl.col(self._arrived))
            .agg(moment=pl.col(self._happened).max(), first=pl.col(self._happened).min())
            .sort("arrived")
            .select(
                arrived,
                pause=arrived.diff(),
                delay=arrived - pl.col("first"),
                age=arrived - known.shift(),
            )
            .filter(arrived.is_between(arrived.max() - first, arrived.max() - last))
        )
        most = by_arrival.select(pl.col("pause", "delay", "age").max()).collect().row(0)
        return None if None in most else Habit(*most)

    def settled(self, rows: pl.DataFrame, other: "Arrivals") -> pl.DataFrame:
        """Those of this view's rows for which the other one has had the time that it takes."""
        habit = other.habit()
        until = self._as_of - (habit.pause + habit.delay if habit else timedelta(0))
        return rows.filter(pl.col(self._happened) < until)

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
        times = [as_utc(pl.col(time)).dt.replace_time_zone("UTC") for time in times_of(self.view)]
        return rows.with_columns(times).filter(pl.col(self._arrived) <= self._as_of)


def times_of(view: FeatureView) -> list[str]:
    """The columns of a row's event time and, if there is one, of its creation."""
    source = view.batch_source
    return [time for time in (source.timestamp_field, source.created_timestamp_column) if time]
