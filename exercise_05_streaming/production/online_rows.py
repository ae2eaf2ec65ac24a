"""Writes rows of streaming features to Redis, in Feast's own encoding, unless it knows better.

All features of a user are one hash, written by one script together with the version of what they
were computed from. So no reader sees half a row, and whoever is late changes nothing: a writer that
was killed, one that replays, a second one.
"""

from collections.abc import Iterator
from itertools import chain

import polars as pl
import pyarrow as pa
import redis

from exercise_05_streaming.production.windows import EVENT_TIME, FEATURES, VERSION
from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.redis_address import pack
from feast_plugins.redis_encoding import Kind, feature_field, time_field
from lab.feature_store import effective_config
from lab.settings import settings

VIEW = "user_streaming_features"
VERSION_FIELD = f"_version:{VIEW}".encode()
EPOCHS = f"{VIEW}:epochs".encode()
KINDS: dict[type[pl.DataType], Kind] = {pl.Int64: Kind.INT64, pl.Float64: Kind.DOUBLE}
ROWS_PER_SCRIPT = 25  # Redis does nothing else meanwhile: about half a millisecond

# KEYS: one hash per row. ARGV: the fields of event time and version, the key's TTL in seconds, the
# number of features, their fields, then for each row its version, its event time and its values.
# Versions are texts of one length, so that they compare as text. All views share the key: its TTL
# is only ever lengthened.
WRITE_UNLESS_OUTDATED = """
local time_field, version_field, ttl, features = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local hash = {version_field, false, time_field, false}
for feature = 1, features do hash[3 + 2 * feature] = ARGV[4 + feature] end
local written, before = 0, 4 + features
for _, key in ipairs(KEYS) do
  local stored = redis.call('HGET', key, version_field)
  if not stored or stored <= ARGV[before + 1] then
    for cell = 1, features + 2 do hash[2 * cell] = ARGV[before + cell] end
    local is_new = not stored and redis.call('EXISTS', key) == 0
    redis.call('HSET', key, unpack(hash))
    if is_new then redis.call('EXPIRE', key, ttl) else redis.call('EXPIRE', key, ttl, 'GT') end
    written = written + 1
  end
  before = before + features + 2
end
return written
"""

# KEYS: the hash of epochs. ARGV: a topic's id. Its epoch is when a writer first found none; in
# microseconds, so that it is another one however soon Redis was emptied.
EPOCH_OF_TOPIC = """
local epoch = redis.call('HGET', KEYS[1], ARGV[1])
if not epoch then
  local now = redis.call('TIME')
  epoch = string.format('%016.0f', now[1] * 1000000 + now[2])
  redis.call('HSET', KEYS[1], ARGV[1], epoch)
end
return epoch
"""


class OnlineRows:
    """The online store as the writer uses it; every method raises redis.RedisError."""

    def __init__(self, topic_id: str) -> None:
        """`topic_id` is Kafka's: the tiles of a topic that was made anew begin a new epoch."""
        config = effective_config()
        self._client = redis.Redis(
            settings.host,
            settings.redis_port,
            socket_timeout=settings.socket_timeout_s,
            socket_connect_timeout=settings.socket_timeout_s,
        )
        self._topic_id = topic_id
        self._epoch = b""
        self._connection: redis.Connection | None = None
        self._project: str = config["project"]
        self._key_version: int = config["entity_key_serialization_version"]
        ttl = b"%d" % config["online_store"]["key_ttl_seconds"]
        fields = [feature_field(VIEW, feature) for feature in FEATURES]
        self._header = [time_field(VIEW), VERSION_FIELD, ttl, b"%d" % len(fields), *fields]

    def has_lost_rows(self) -> bool:
        """Whether what was written before may be gone: Redis was emptied, or the connection lost.

        A new connection may lead to a Redis that was killed, and came back without its last second.
        """
        is_new = self._connection is None
        if is_new:
            self._connect()
        epoch = self._client.eval(EPOCH_OF_TOPIC, 1, EPOCHS, self._topic_id)
        is_emptied, self._epoch = epoch != self._epoch, epoch
        return is_new or is_emptied

    def write(self, rows: pl.DataFrame, now_ms: int) -> int:
        """Write rows of windows.features, computed at `now_ms`; returns how many were news."""
        rows = rows.drop_nulls(EVENT_TIME)
        if self._connection is None:
            raise redis.ConnectionError("ask has_lost_rows() first")
        try:
            sent = [self._connection.send_packed_command([c]) for c in self._commands(rows, now_ms)]
            return sum(int(self._connection.read_response()) for _ in sent)
        except redis.RedisError:
            self._disconnect()
            raise

    def _commands(self, rows: pl.DataFrame, now_ms: int) -> Iterator[bytes]:
        user_ids = {"user_id": rows["user_id"].to_arrow().cast(pa.string())}
        keys = entity_keys(self._project, user_ids, self._key_version, {"user_id": Kind.STRING})
        kinds = {name: KINDS[rows.schema[name].base_type()] for name in FEATURES}
        columns = [
            [b"%b %016d %013d" % (self._epoch, version, now_ms) for version in rows[VERSION]],
            encode_times((rows[EVENT_TIME] * 1_000).to_arrow()),
            *(encode_features(rows[name].to_arrow(), kind) for name, kind in kinds.items()),
        ]
        cells = list(chain.from_iterable(zip(*columns, strict=True)))
        for start in range(0, len(keys), ROWS_PER_SCRIPT):
            chunk = keys[start : start + ROWS_PER_SCRIPT]
            values = cells[start * len(columns) : (start + len(chunk)) * len(columns)]
            script = [b"EVALSHA", self._sha, b"%d" % len(chunk)]
            yield pack([*script, *chunk, *self._header, *values])

    def _connect(self) -> None:
        self._sha = self._client.script_load(WRITE_UNLESS_OUTDATED).encode()
        self._connection = self._client.connection_pool.get_connection()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()  # replies are outstanding
            self._client.connection_pool.release(self._connection)
            self._connection = None
