"""Write encoded rows to Redis by the compare-and-write script, many runs of it in flight.

In a cluster, a run has the rows of one slot, and is sent to the node of that slot.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import redis

from feast_plugins.redis_address import pack
from feast_plugins.redis_encoding import feature_field, time_field
from feast_plugins.redis_online_store import WRITE_UNLESS_OLDER, script_runs

RUNS_IN_FLIGHT = 16


@contextmanager
def connection_of(pool: redis.ConnectionPool) -> Iterator[Any]:
    """Yield a connection of a pool; close it on an error, after which replies are outstanding."""
    connection = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


@dataclass
class Lane:
    """A connection to one node, and the number of its outstanding replies.

    Commands are packed by hand: the client's own packing takes longer than Redis does.
    """

    connection: Any
    in_flight: int = 0

    def send(self, command: Sequence[bytes]) -> None:
        """Send a command, once few enough are in flight."""
        self.connection.send_packed_command([pack(command)])
        self.in_flight += 1
        self.await_replies(RUNS_IN_FLIGHT)

    def await_replies(self, leave: int) -> None:
        """Wait until `leave` replies are outstanding; raises redis.ResponseError."""
        while self.in_flight > leave:
            self.in_flight -= 1
            self.connection.read_response()


class RowWriter(ExitStack):
    """Writer of one view's rows; a context manager that holds a connection to each node."""

    def __init__(
        self,
        client: redis.Redis | redis.RedisCluster,
        view: str,
        features: Sequence[str],
        ttl_seconds: int,
    ) -> None:
        super().__init__()
        self._client = client
        fields = [feature_field(view, feature) for feature in features]
        sizes = (str(ttl_seconds).encode(), str(len(fields)).encode())
        self._header = [time_field(view), *sizes, *fields]
        self._lanes: dict[str, Lane] = {}

    def __enter__(self) -> Self:
        if isinstance(self._client, redis.RedisCluster):
            self._client.nodes_manager.initialize()  # slots may have moved since it was made
        sha = self._client.script_load(WRITE_UNLESS_OLDER)
        self._sha = sha if isinstance(sha, bytes) else str(sha).encode()
        return self

    def write(
        self, keys: Sequence[bytes], times: Sequence[bytes], columns: Sequence[Sequence[bytes]]
    ) -> None:
        """Send rows, given by column; raises redis.ResponseError when Redis rejects them."""
        rows = list(zip(times, *columns, strict=True))
        for places in script_runs(self._client, keys, len(columns)):
            own_keys = [keys[place] for place in places]
            cells = chain.from_iterable(rows[place] for place in places)
            count = b"%d" % len(places)
            command = [b"EVALSHA", self._sha, count, *own_keys, *self._header, *cells]
            self._lane_for(own_keys[0]).send(command)

    def finish(self) -> None:
        """Wait until Redis has answered all commands."""
        for lane in self._lanes.values():
            lane.await_replies(0)

    def _lane_for(self, key: bytes) -> Lane:
        """Return the connection to the node that stores a key."""
        client, name = self._client, ""
        if isinstance(client, redis.RedisCluster):
            node = client.nodes_manager.get_node_from_slot(client.keyslot(key))
            client, name = client.get_redis_connection(node), node.name
        if name not in self._lanes:
            self._lanes[name] = Lane(self.enter_context(connection_of(client.connection_pool)))
        return self._lanes[name]
