"""The cache that all workers share, and that outlives them: Redis's database 1.

An entry is named after its generation and the command that it answers, and holds when it was read
and the reply in Redis's own protocol. It ends by itself; the number of entries is bounded, because
the features live in the same memory and must never be refused for the sake of a cache.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import hiredis

from feast_plugins.online_errors import RedisUnavailable
from feast_plugins.read_plan import Reply
from feast_plugins.redis_address import pack_argument

from .database import Database

READ_AT = struct.Struct("<d")

log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """A reply, and when it was read from the store, in seconds since 1970."""

    read_at: float
    reply: Reply


class SharedCache:
    """At most about `entries`: they are counted once in a while, not at every fill."""

    def __init__(
        self,
        database: Database,
        entries: int,
        ttl_s: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._entries, self._ttl_s, self._now = database, entries, ttl_s, now
        self._fills: set[asyncio.Task[None]] = set()
        self._is_at_bound = False
        self._is_refused = False

    async def get(self, generation: bytes, commands: Sequence[bytes]) -> dict[bytes, Kept]:
        """What is kept of the commands' replies; nothing when Redis does not say."""
        names = [_name(generation, command) for command in commands]
        try:
            (contents,) = await self._database.ask([b"MGET", *names])
        except RedisUnavailable as error:
            log.warning("the shared cache is not read: %s", error)
            return {}
        found = {
            command: _unpacked(content)
            for command, content in zip(commands, contents, strict=True)
            if content is not None
        }
        oldest = self._now() - self._ttl_s
        return {c: kept for c, kept in found.items() if kept is not None and kept.read_at >= oldest}

    def put_soon(self, generation: bytes, fresh: Mapping[bytes, Kept]) -> None:
        """Keep replies for all workers; nobody waits for it."""
        if fresh and not self._is_at_bound:
            fill = asyncio.create_task(self._put(generation, fresh))
            self._fills.add(fill)
            fill.add_done_callback(self._fills.discard)

    async def count(self) -> None:
        """See whether there is room for more."""
        (entries,) = await self._database.ask([b"DBSIZE"])
        self._is_at_bound = entries >= self._entries

    async def _put(self, generation: bytes, fresh: Mapping[bytes, Kept]) -> None:
        expiry = [b"EX", b"%d" % self._ttl_s]
        commands = [
            [b"SET", _name(generation, command), _packed(kept), *expiry]
            for command, kept in fresh.items()
        ]
        try:
            await self._database.ask(*commands)
        except RedisUnavailable as error:
            if not self._is_refused:
                log.warning("nothing is kept in the shared cache: %s", error)
            self._is_refused = True
        else:
            self._is_refused = False


def _name(generation: bytes, command: bytes) -> bytes:
    digest = blake2b(command, digest_size=16).hexdigest().encode()
    return b"features:%b:%b" % (generation, digest)


def _packed(kept: Kept) -> bytes:
    fields = [b"$-1\r\n" if field is None else pack_argument(field) for field in kept.reply]
    return READ_AT.pack(kept.read_at) + b"*%d\r\n" % len(fields) + b"".join(fields)


def _unpacked(content: bytes) -> Kept | None:
    """The entry; None when it is none of ours."""
    reader = hiredis.Reader()
    try:
        (read_at,) = READ_AT.unpack_from(content)
        reader.feed(content, READ_AT.size, len(content) - READ_AT.size)
        reply: Any = reader.gets()
    except (struct.error, hiredis.HiredisError):
        return None
    return Kept(read_at, reply) if isinstance(reply, list) else None
