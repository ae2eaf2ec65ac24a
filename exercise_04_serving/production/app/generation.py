"""Which materialization the store holds: a cache of features is good for one generation."""

import logging
from collections.abc import Callable
from hashlib import blake2b

from feast_plugins.online_errors import RedisUnavailable

from .database import Database

log = logging.getLogger(__name__)


class Generation:
    """Changes when a materialization has written a view; None while it is not known.

    Exercise 3 notes in Redis, beside the features, until when each view is materialized, and counts
    its runs. Both together: a backfill changes only the count, which begins again in an emptied
    Redis.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._asked = (
            [b"HGETALL", f"materialized_until:{project}".encode()],
            [b"GET", f"materialization_runs:{project}".encode()],
        )
        self._listeners: list[Callable[[], None]] = []
        self._last: bytes | None = None
        self.current: bytes | None = None

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` when there is another generation."""
        self._listeners.append(listener)

    async def poll(self) -> None:
        """Look into Redis once."""
        try:
            pairs, runs = await self._database.ask(*self._asked)
        except RedisUnavailable as error:
            if self.current is not None:
                log.warning("nothing is cached while the generation is not known: %s", error)
            self.current = None
            return
        state = sorted(zip(pairs[::2], pairs[1::2], strict=True)), runs
        self.current = blake2b(repr(state).encode(), digest_size=8).hexdigest().encode()
        if self.current != self._last:
            self._last = self.current
            for listener in self._listeners:
                listener()
