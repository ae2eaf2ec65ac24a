"""Which rows of a view arrived, chosen by created time, not by event time alone."""

from datetime import datetime

import duckdb
import pandas as pd
import redis
from feast import FeatureStore

from lab.errors import UserError

ROWS_PER_WRITE = 50_000

ARRIVED = '"{created}" > ? AND "{created}" <= ?'
HAPPENED = '"{time}" BETWEEN ? AND ? AND "{created}" <= ?'
NEWEST = (
    "SELECT * FROM read_parquet(?) WHERE %s QUALIFY 1 = "
    'row_number() OVER (PARTITION BY {keys} ORDER BY "{time}" DESC, "{created}" DESC)'
)
ENTITIES = "SELECT DISTINCT {keys} FROM read_parquet(?) WHERE %s ORDER BY ALL"


class Arrivals:
    """Reads a view's source by arrival; how far it was read is kept beside the features in Redis.

    There it lives and dies with what it describes: an emptied Redis is filled again from the start.
    """

    def __init__(self, store: FeatureStore, client: redis.Redis) -> None:
        self.store = store
        self._client = client
        self._seen = f"materialized_until:{store.project}"

    def features(self, view: str) -> list[str]:
        """The names of a view's features."""
        return [field.name for field in self.store.get_feature_view(view).features]

    def references(self, view: str) -> list[str]:
        """A view's features as Feast is asked for them."""
        return [f"{view}:{name}" for name in self.features(view)]

    def last_seen(self, view: str) -> datetime | None:
        """Rows that arrived by then are in Redis; None before the first run."""
        seen = self._client.hget(self._seen, view)
        return datetime.fromisoformat(seen.decode()) if seen else None

    def seen_until(self, view: str) -> datetime:
        """The same; UserError before the first run."""
        seen = self.last_seen(view)
        if seen is None:
            raise UserError(f"{view} was never materialized to this Redis", "lab run 3")
        return seen

    def mark_seen(self, view: str, until: datetime) -> None:
        """Remember a finished run; one that looked at an earlier moment takes nothing back."""
        latest = max(until, self.last_seen(view) or until)
        self._client.hset(self._seen, view, latest.isoformat())

    def since_last_run(self, view: str, until: datetime) -> pd.DataFrame:
        """The newest of the rows that arrived since, one per entity."""
        since = self.last_seen(view) or until - self.store.get_feature_view(view).ttl
        return self._query(NEWEST % ARRIVED, view, [since, until])

    def between(self, view: str, start: datetime, end: datetime, known: datetime) -> pd.DataFrame:
        """The newest of the rows of a range of event times, of those that arrived by `known`."""
        return self._query(NEWEST % HAPPENED, view, [start, end, known])

    def entities(self, view: str) -> pd.DataFrame:
        """The keys of every entity whose features have not expired at the last run."""
        now = self.seen_until(view)
        ttl = self.store.get_feature_view(view).ttl
        return self._query(ENTITIES % HAPPENED, view, [now - ttl, now, now])

    def write(self, view: str, rows: pd.DataFrame) -> None:
        """Hand rows to the online store, which keeps whatever is newer.

        Through the provider: `write_to_online_store` leaves out rows whose features are all null,
        and with them the news that a value is gone.
        """
        definition = self.store.get_feature_view(view)
        for start in range(0, len(rows), ROWS_PER_WRITE):
            self.store.provider.ingest_df(definition, rows.iloc[start : start + ROWS_PER_WRITE])

    def _query(self, sql: str, view: str, moments: list[datetime]) -> pd.DataFrame:
        definition = self.store.get_feature_view(view)
        source = definition.batch_source
        query = sql.format(
            keys=", ".join(f'"{key}"' for key in definition.join_keys),
            time=source.timestamp_field,
            created=source.created_timestamp_column,
        )
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(query, [source.path, *moments]).df()
