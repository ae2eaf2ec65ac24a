"""Which rows of a view arrived since the last run: chosen by created time, not by event time."""

from datetime import datetime
from typing import Any

import duckdb
import pandas as pd
import redis
from feast import FeatureStore

ROWS_PER_WRITE = 50_000

NEWEST_ARRIVED = """
SELECT *
FROM read_parquet(?)
WHERE "{created}" > ? AND "{created}" <= ?
QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY "{time}" DESC, "{created}" DESC) = 1
"""
ENTITIES = 'SELECT DISTINCT {keys} FROM read_parquet(?) WHERE "{created}" <= ? ORDER BY ALL'


class Arrivals:
    """Reads a view's source by arrival; how far it was read is kept beside the features in Redis.

    There it lives and dies with what it describes: an emptied Redis is filled again from the start.
    """

    def __init__(self, store: FeatureStore, client: "redis.Redis[bytes]") -> None:
        self.store = store
        self._client = client
        self._seen = f"materialized_until:{store.project}"

    def features(self, view: str) -> list[str]:
        """The names of a view's features."""
        return [field.name for field in self.store.get_feature_view(view).features]

    def references(self, view: str) -> list[str]:
        """A view's features as Feast is asked for them."""
        return [f"{view}:{name}" for name in self.features(view)]

    def seen_until(self, view: str) -> datetime | None:
        """Rows that arrived by then are in Redis; None before the first run."""
        seen = self._client.hget(self._seen, view)
        return datetime.fromisoformat(seen.decode()) if seen else None

    def mark_seen(self, view: str, until: datetime) -> None:
        """Remember a finished run."""
        self._client.hset(self._seen, view, until.isoformat())

    def since_last_run(self, view: str, until: datetime) -> pd.DataFrame:
        """The newest of the rows that arrived since, one per entity."""
        definition = self.store.get_feature_view(view)
        since = self.seen_until(view) or until - definition.ttl
        return self._query(NEWEST_ARRIVED, view, [since, until])

    def entities(self, view: str) -> pd.DataFrame:
        """The keys of every entity of a view that is known by the last run."""
        return self._query(ENTITIES, view, [self.seen_until(view)])

    def write(self, view: str, rows: pd.DataFrame) -> None:
        """Hand rows to the online store, which keeps whatever is newer."""
        for start in range(0, len(rows), ROWS_PER_WRITE):
            self.store.write_to_online_store(view, rows.iloc[start : start + ROWS_PER_WRITE])

    def _query(self, sql: str, view: str, moments: list[Any]) -> pd.DataFrame:
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
