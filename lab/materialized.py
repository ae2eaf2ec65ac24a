"""Until when each view is materialized, and how often something was written."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import redis

from lab.errors import UserError

if TYPE_CHECKING:
    from feast import FeatureStore


class Progress:
    """Kept in Redis, beside the features: there it lives and dies with what it describes."""

    def __init__(self, store: "FeatureStore", client: redis.Redis) -> None:
        self._client = client
        self._key = f"materialized_until:{store.project}"
        self._runs = f"materialization_runs:{store.project}"

    def until(self, view: str) -> datetime | None:
        """Rows that arrived by then are in Redis; None before the first run."""
        moment: Any = self._client.hget(self._key, view)
        return datetime.fromisoformat(moment.decode()) if moment else None

    def known_until(self, view: str) -> datetime:
        """The same; UserError before the first run."""
        moment = self.until(view)
        if moment is None:
            raise UserError(f"{view} was never materialized to this Redis", "lab run 3")
        return moment

    def mark(self, view: str, until: datetime) -> None:
        """Remember a finished run; one that looked at an earlier moment takes nothing back."""
        latest = max(until, self.until(view) or until)
        self._client.hset(self._key, view, latest.isoformat())

    def clear(self) -> None:
        """Forget until when the views are materialized; the count of runs goes on."""
        self._client.delete(self._key)

    def count_run(self) -> None:
        """Tell those who cache features of a run, a backfill too: it changes no `until`."""
        self._client.incr(self._runs)
