"""The end of each view's last materialization."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import redis

from lab.errors import UserError

if TYPE_CHECKING:
    from feast import FeatureStore


class Progress:
    """Progress of materialization; Redis stores it with the features that it describes."""

    def __init__(self, store: "FeatureStore", client: redis.Redis) -> None:
        self._client = client
        self._key = f"materialized_until:{store.project}"

    def until(self, view: str) -> datetime | None:
        """Return the time up to which arrived rows are in Redis; None before the first run."""
        moment: Any = self._client.hget(self._key, view)
        return datetime.fromisoformat(moment.decode()) if moment else None

    def known_until(self, view: str) -> datetime:
        """Return the same; UserError before the first run."""
        moment = self.until(view)
        if moment is None:
            raise UserError(f"{view} was never materialized to this Redis", "lab run 3")
        return moment

    def mark(self, view: str, until: datetime) -> None:
        """Record a finished run; one with an earlier end changes nothing."""
        latest = max(until, self.until(view) or until)
        self._client.hset(self._key, view, latest.isoformat())

    def clear(self) -> None:
        """Delete the progress of the views."""
        self._client.delete(self._key)
