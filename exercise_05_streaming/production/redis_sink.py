"""Write rows of streaming features to Redis unless it has a newer version of them.

A script in Redis compares versions and writes all features of 25 users. So a writer that was
killed, one that reads its topic again and a second writer change nothing.
"""

from itertools import chain

import polars as pl
import pyarrow as pa
import redis

from exercise_05_streaming.windows import DAY_S, FEATURES
from exercise_05_streaming.writer import VIEW, TileStore
from feast_plugins.columnar_encoding import encode_features, encode_times, entity_keys
from feast_plugins.redis_encoding import Kind, feature_field, time_field
from lab.feature_store import effective_config
from lab.settings import settings

VERSION_FIELD = f"_version:{VIEW}".encode()
KINDS: dict[type[pl.DataType], Kind] = {pl.Int64: Kind.INT64, pl.Float64: Kind.DOUBLE}
ROWS_PER_SCRIPT = 25  # a script blocks Redis: about half a millisecond

# KEYS: one hash per row. ARGV: the fields of event time and version, the key's TTL in seconds, the
# number of features, their fields, then for each row its version, its event time and its values.
# Versions are texts of one length, so that they compare as text. All views share the key: its TTL
# is only ever lengthened.
COMPARE_AND_SET = """
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
    local left = redis.call('TTL', key)  -- EXPIRE GT is of Redis 7
    if is_new or (left >= 0 and left < tonumber(ttl)) then redis.call('EXPIRE', key, ttl) end
    written = written + 1
  end
  before = before + features + 2
end
return written
"""


def time_ms(client: redis.Redis) -> int:
    """Return the clock of Redis: jobs and writers on several machines agree on it."""
    seconds, microseconds = client.time()
    return int(seconds * 1_000 + microseconds // 1_000)


class RedisSink:
    """The sink of the writer; every method raises redis.RedisError."""

    def __init__(self, generation: int, store: TileStore) -> None:
        """Take the versions of rows from their tiles."""
        self._generation, self._store = generation, store
        self.client = redis.Redis(
            settings.host,
            settings.redis_port,
            socket_timeout=settings.socket_timeout_s,
            socket_connect_timeout=settings.socket_timeout_s,
        )
        self._compare_and_set = self.client.register_script(COMPARE_AND_SET)
        self._run_id = ""
        config = effective_config()
        self._project: str = config["project"]
        self._key_version: int = config["entity_key_serialization_version"]
        ttl = config["online_store"]["key_ttl_seconds"]
        fields = [feature_field(VIEW, feature) for feature in FEATURES]
        self._header = [time_field(VIEW), VERSION_FIELD, ttl, len(fields), *fields]

    def has_restarted(self) -> bool:
        """Return whether Redis was restarted since the last call, which may lose rows."""
        before, self._run_id = self._run_id, self.client.info("server")["run_id"]
        return before not in ("", self._run_id)

    def write(self, rows: pl.DataFrame, now_ms: int) -> int:
        """Write rows of windows.features, which describe `now_ms`; return how many were newer."""
        user_ids = {"user_id": rows["user_id"].to_arrow().cast(pa.string())}
        keys = entity_keys(self._project, user_ids, self._key_version, {"user_id": Kind.STRING})
        columns = self._columns(rows, now_ms)
        cells = list(chain.from_iterable(zip(*columns, strict=True)))
        pipe = self.client.pipeline(transaction=False)
        for start in range(0, len(keys), ROWS_PER_SCRIPT):
            chunk = keys[start : start + ROWS_PER_SCRIPT]
            values = cells[start * len(columns) : (start + len(chunk)) * len(columns)]
            self._compare_and_set(chunk, [*self._header, *values], client=pipe)
        return sum(pipe.execute())

    def _columns(self, rows: pl.DataFrame, now_ms: int) -> list[list[bytes]]:
        """Return the encoded versions, event times and features of the rows."""
        counts = self._versions(rows)
        versions = [b"%013d %016d %013d" % (self._generation, v, now_ms) for v in counts]
        times = encode_times(pa.array([now_ms * 1_000] * len(rows), pa.int64()))
        kinds = {name: KINDS[rows.schema[name].base_type()] for name in FEATURES}
        features = [encode_features(rows[name].to_arrow(), kind) for name, kind in kinds.items()]
        return [versions, times, *features]

    def _versions(self, rows: pl.DataFrame) -> list[int]:
        """Return each user's version: the newest tile's day, then the events since the day before.

        It never shrinks while tiles arrive, in any order.
        """
        day = pl.col("tile_start").max() // DAY_S
        recent = pl.col("tile_start") >= (day - 1) * DAY_S
        version = day * 2**32 + pl.col("transaction_count").filter(recent).sum()
        tiles = self._store.frame(rows["user_id"].to_list())
        return tiles.group_by("user_id", maintain_order=True).agg(version)["tile_start"].to_list()
