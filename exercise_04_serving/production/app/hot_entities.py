"""Which users and merchants are asked for most, so that a new worker starts with them."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson

from .database import Database

SAMPLED = 1 / 8  # of the requests: the hot ones are in any sample
PENDING = 10_000
HOUR = timedelta(hours=1)

Pair = tuple[str, str]  # a user and a merchant


class HotEntities:
    """Counts pairs by the hour, in the cache's database; keeps the `most` frequent of an hour."""

    def __init__(self, database: Database, most: int) -> None:
        self._database, self._most = database, most
        self._seen: Counter[Pair] = Counter()

    def notice(self, users: Sequence[str], merchants: Sequence[str]) -> None:
        """Count some of the requests."""
        if random.random() < SAMPLED and len(self._seen) < PENDING:
            self._seen.update(zip(users, merchants, strict=True))

    async def save(self, now: datetime) -> None:
        """Add what was seen to the hour's counts; raises RedisUnavailable."""
        seen, self._seen = self._seen.most_common(self._most), Counter()
        if not seen:
            return
        key = _key(now)
        counts = [[b"ZINCRBY", key, b"%d" % count, orjson.dumps(pair)] for pair, count in seen]
        shorten = [b"ZREMRANGEBYRANK", key, b"0", b"%d" % (-self._most - 1)]
        expire = [b"EXPIRE", key, b"%d" % (2 * HOUR).total_seconds()]
        await self._database.ask(*counts, shorten, expire)

    async def load(self, now: datetime) -> list[Pair]:
        """The most frequent pairs of this hour and the last; raises RedisUnavailable."""
        ranges = [
            [b"ZREVRANGE", _key(hour), b"0", b"%d" % (self._most - 1)] for hour in (now, now - HOUR)
        ]
        replies = await self._database.ask(*ranges)
        pairs = (tuple(orjson.loads(member)) for reply in replies for member in reply)
        return list(dict.fromkeys(pairs))[: self._most]


def _key(now: datetime) -> bytes:
    return f"hot:{now:%Y-%m-%dT%H}".encode()
