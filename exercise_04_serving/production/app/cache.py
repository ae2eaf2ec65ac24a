"""Replies of the feature store, kept: in the process, and below that in Redis for all workers.

Kept is what Redis sent, by the command that asked for it. A TTL of a view that ends, a default and
the request-time features are therefore computed for every request, cached or not.

**The fill race.** A reply that was read before a materialization must not be kept after it. So a
fill names the generation that was current before its read: in the process it is dropped when the
generation has changed since, in Redis it lands under the old generation's name, which nobody reads.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from feast_plugins.read_plan import Reply

from .generation import Generation
from .shared_cache import Kept, SharedCache

Read = Callable[[Sequence[bytes]], Awaitable[list[Reply]]]


class LocalCache:
    """The replies that were used last, `entries` at most, each until `ttl_s` after it was read."""

    def __init__(self, entries: int, ttl_s: float, now: Callable[[], float] = time.time) -> None:
        self._entries, self._ttl_s, self._now = entries, ttl_s, now
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, command: bytes) -> Reply | None:
        """The reply to a command; None when it is not kept, or too old."""
        kept = self._kept.get(command)
        if kept is None:
            return None
        if kept.read_at + self._ttl_s < self._now():
            del self._kept[command]
            return None
        self._kept.move_to_end(command)
        return kept.reply

    def put(self, command: bytes, kept: Kept) -> None:
        """Keep a reply; the one that was used longest ago goes when there are too many."""
        self._kept[command] = kept
        self._kept.move_to_end(command)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


class ReplyCache:
    """Answers from the process, else from Redis, else by `read`, which it does once for many.

    Tasks that miss the same command at the same time wait for one read.
    """

    def __init__(
        self, local: LocalCache, shared: SharedCache, generation: Generation, read: Read
    ) -> None:
        self._local, self._shared, self._generation, self._read = local, shared, generation, read
        self._flights: dict[bytes, asyncio.Task[Flight]] = {}
        generation.on_change(self.forget)

    def known(self, commands: Sequence[bytes]) -> list[Reply] | None:
        """The replies, if every one is kept in this process."""
        if self._generation.current is None:
            return None
        replies = []
        for command in commands:
            reply = self._local.get(command)
            if reply is None:
                return None
            replies.append(reply)
        return replies

    async def obtain(self, commands: Sequence[bytes]) -> tuple[list[Reply], Collection[bytes]]:
        """The replies, and the commands that were read from the store for this very call.

        Raises what `read` raises.
        """
        replies = {} if self._generation.current is None else self._kept(commands)
        unknown = [command for command in commands if command not in replies]
        mine = [command for command in unknown if command not in self._flights]
        joined = {self._flights[command] for command in unknown if command in self._flights}
        own = self._start(mine) if mine else None
        for flight in (*joined, *([own] if own else [])):
            # Shielded: when this request is given up, others may still wait for the same read.
            replies |= (await asyncio.shield(flight)).replies
        return [replies[command] for command in commands], own.result().read if own else ()

    def forget(self) -> None:
        """Drop what is kept in the process; reads under way are not waited for by new requests."""
        self._local.clear()
        self._flights.clear()

    def _kept(self, commands: Sequence[bytes]) -> dict[bytes, Reply]:
        found = {command: self._local.get(command) for command in commands}
        return {command: reply for command, reply in found.items() if reply is not None}

    def _start(self, commands: Sequence[bytes]) -> "asyncio.Task[Flight]":
        flight = asyncio.create_task(self._fly(commands))
        self._flights.update(dict.fromkeys(commands, flight))
        flight.add_done_callback(lambda done: self._land(commands, done))
        return flight

    def _land(self, commands: Sequence[bytes], flight: "asyncio.Task[Flight]") -> None:
        for command in commands:
            if self._flights.get(command) is flight:
                del self._flights[command]
        if not flight.cancelled():
            flight.exception()  # looked at, in case that nobody waits any more

    async def _fly(self, commands: Sequence[bytes]) -> "Flight":
        generation, read_at = self._generation.current, time.time()
        found = await self._shared.get(generation, commands) if generation is not None else {}
        absent = [command for command in commands if command not in found]
        read = zip(absent, await self._read(absent), strict=True) if absent else ()
        fresh = {command: Kept(read_at, reply) for command, reply in read}
        if generation is not None and generation == self._generation.current:
            for command, kept in (found | fresh).items():
                self._local.put(command, kept)
            self._shared.put_soon(generation, fresh)
        return Flight(
            {command: kept.reply for command, kept in (found | fresh).items()}, fresh.keys()
        )


class Flight:
    """What a read brought, and which of it from the store itself."""

    def __init__(self, replies: Mapping[bytes, Reply], read: Collection[bytes]) -> None:
        self.replies, self.read = dict(replies), read
