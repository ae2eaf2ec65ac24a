"""A view's rows by day: for each entity and day one row, drawn by a hash."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift.catalogue import View
from exercise_06_monitoring.production.drift.past import Steps
from exercise_06_monitoring.production.drift.statistics import Counts
from lab.dataset.session import count, literal, quoted
from lab.errors import UserError
from lab.settings import settings

WEEK = 7

# Day 0 is the 24 hours, counted back from the as-of, that hold the newest row: a source that has
# ended is compared as it was then, since a week that is half empty has other weekdays.
# Which row is drawn is a matter of its entity and time alone, so a window that has moved on by a
# day still holds the rows that it had drawn before. It is a hash of one text: that of two columns
# mixes them too little, and all entities prefer some times.
# Of two rows of one moment, a value and its correction, the one that was created last counts.
VISIBLE = """
CREATE VIEW visible AS
SELECT *, (epoch_us({as_of}) - epoch_us(moment)) // 86_400_000_000 AS day
FROM (
    SELECT {key} AS entity, {timestamp} AS moment, {created} - {timestamp} AS delay, {features}
    FROM source
    WHERE {timestamp} <= {as_of} AND {created} <= {as_of}
)
"""
DRAWN = """
SELECT entity, (day - $ended)::INTEGER AS day, min(draw) AS draw,
    unnest(arg_min(struct_pack({features}), row(draw, -epoch_us(delay))))
FROM (SELECT *, hash(concat(entity, ' ', epoch_us(moment))) AS draw FROM visible)
WHERE day < $ended + $days AND hash(entity) % $parts = 0
GROUP BY entity, day
ORDER BY entity, draw
"""


@dataclass(frozen=True)
class Panel:
    """Columns `entity`, `day` (0 is the last), `draw` and the features; by entity, then draw.

    `ended`: by how many whole days day 0 lies before the as-of. `filled_days`: for how many days,
    counted back from there, the longest feature window has been full.
    """

    view: View
    rows: pd.DataFrame
    ended: int
    filled_days: int

    @cached_property
    def entity(self) -> Counts:
        """The entities, numbered in the order of the rows."""
        numbers: Counts = pd.factorize(self.rows["entity"])[0].astype(np.int64)
        return numbers

    @cached_property
    def day(self) -> Counts:
        days: Counts = self.rows["day"].to_numpy(dtype=np.int64)
        return days

    @cached_property
    def draw_of_entity(self) -> Counts:
        """A number for each row that its entity's name alone decides."""
        draws: Counts = pd.util.hash_array(self.rows["entity"].to_numpy(dtype=object)) % 2**31
        return draws

    def week(self, first_day: int) -> Counts:
        """Numbers of rows: one of each entity that has any in the week that begins so far back."""
        inside = np.flatnonzero((self.day >= first_day) & (self.day < first_day + WEEK))
        is_first = np.diff(self.entity[inside], prepend=-1) != 0
        first: Counts = inside[is_first]
        return first

    def steps(self, feature: str, first_day: int, days: int) -> Steps:
        """How often the feature moved between the days of the same entity in a window."""
        inside = np.flatnonzero((self.day >= first_day) & (self.day < first_day + days))
        inside = inside[np.lexsort((self.day[inside], self.entity[inside]))]
        same = np.diff(self.entity[inside]) == 0
        values = pd.factorize(self.rows[feature].to_numpy()[inside])[0]
        return Steps(int((np.diff(values)[same] != 0).sum()), int(same.sum()))


def read_panel(view: View, as_of: datetime, days: int) -> Panel:
    """What was known at as_of of the last `days` days; of many entities a sample, by their hash.

    Raises UserError if the view has no table.
    """
    with visible_rows(view, as_of) as connection:
        entities = count(connection, "(SELECT DISTINCT entity FROM visible)")
        named = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in view.features)
        ended, filled_days = extent(connection, as_of)
        parts = max(1, ceil(entities / settings.drift_entities))
        rows = connection.execute(
            DRAWN.format(features=named), {"ended": ended, "days": days, "parts": parts}
        ).df()
        return Panel(view, rows, ended, filled_days)


def extent(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> tuple[int, int]:
    """How many days ago the rows end, and for how many before that windows have been full."""
    oldest, ended = connection.sql("SELECT min(moment), min(day) FROM visible").fetchall()[0]
    if oldest is None:
        return 0, 0
    return ended, (as_of - oldest - settings.warm_up) // timedelta(days=1) - ended


@contextmanager
def visible_rows(view: View, as_of: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session whose table `visible` holds the rows that happened and had arrived by then."""
    if not view.file.exists():
        raise UserError(f"{view.name} has no table: {view.file} is missing", "lab data simulate")
    with TemporaryDirectory(prefix="drift_") as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{settings.drift_memory_gib}GiB'")
        connection.execute("SET temp_directory = ?", [scratch])
        connection.execute(f"CREATE VIEW source AS FROM read_parquet({literal(view.file)})")
        types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE source").fetchall()}
        connection.execute(
            VISIBLE.format(
                key=quoted(view.key),
                timestamp=quoted(view.timestamp),
                created=quoted(view.created),
                features=", ".join(selected(view, name, types.get(name)) for name in view.features),
                as_of=f"{literal(as_of.isoformat())}::TIMESTAMPTZ",
            )
        )
        yield connection


def selected(view: View, feature: str, kind: str | None) -> str:
    """A feature in SQL: a time as its age in seconds, and null where the table has no such column.

    A missing column is for the check of the schema to report.
    """
    name = quoted(feature)
    if kind is None:
        return f"NULL::DOUBLE AS {name}"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch({quoted(view.timestamp)}) - epoch({name}) AS {name}"
    return name
