"""Feast's Redis online store, in which Redis itself compares the event and created times of rows.

Feast's own store reads the stored event time, compares in Python and then writes: two writers race,
and a corrected value under the same event time is dropped. Here a script compares and writes in one
step. Keys, fields and values stay Feast's, so that Feast reads what this writes and the reverse.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from feast import Entity, FeatureView, RepoConfig, utils
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feast_plugins.feast_internals import (
    async_redis_client,
    entity_key_bytes,
    redis_client,
    stored_name,
)
from feast_plugins.redis_address import connection_options
from feast_plugins.redis_deletion import delete_project, delete_view
from feast_plugins.redis_encoding import encode_time, feature_field, time_field

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

# Fields for one run of the script, which holds Redis while it runs: about a millisecond.
FIELDS_PER_SCRIPT = 500

# KEYS: one hash per row. ARGV: the field of the event time, the key's TTL in seconds (0: none), the
# number of features, their fields, then for each row its times and its values.
WRITE_UNLESS_OLDER = """
local function negative(bytes, at)  -- ten bytes of two's complement: a time before 1970
  local complement, scale = 0, 1
  for place = at, at + 8 do
    complement, scale = complement + (127 - bytes:byte(place) % 128) * scale, scale * 128
  end
  return -complement - 1
end

local function varint(bytes, at)
  local value, scale, start = 0, 1, at
  while true do
    local byte = bytes:byte(at)
    if at - start == 9 then return negative(bytes, start), at + 1 end
    value = value + (byte % 128) * scale
    at, scale = at + 1, scale * 128
    if byte < 128 then return value, at end
  end
end

-- a protobuf Timestamp: tag 8 seconds, tag 16 nanoseconds; tag 25, the last, the created time
local function times(timestamp)
  local seconds, nanos, at = 0, 0, 1
  local tag, value = timestamp:byte(at), nil
  while tag and tag ~= 25 do
    value, at = varint(timestamp, at + 1)
    if tag == 8 then seconds = value else nanos = value end
    tag = timestamp:byte(at)
  end
  return seconds, nanos, tag and at + 1
end

local function is_older(new, stored)
  if new == stored then return false end
  local new_seconds, new_nanos, new_created = times(new)
  local seconds, nanos, created = times(stored)
  if new_seconds ~= seconds then return new_seconds < seconds end
  if new_nanos ~= nanos then return new_nanos < nanos end
  return new_created and created
    and struct.unpack('<i8', new, new_created) < struct.unpack('<i8', stored, created)
end

local time_field, ttl, features = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local hash = {time_field}
for feature = 1, features do hash[1 + 2 * feature] = ARGV[3 + feature] end
local written, before = 0, 3 + features
for _, key in ipairs(KEYS) do
  local stored = redis.call('HGET', key, time_field)
  if not (stored and is_older(ARGV[before + 1], stored)) then
    local is_new = not stored and ttl > 0 and redis.call('EXISTS', key) == 0
    for cell = 1, features + 1 do hash[2 * cell] = ARGV[before + cell] end
    for first = 1, #hash, 4000 do  -- unpack returns no more than 8,000
      redis.call('HSET', key, unpack(hash, first, math.min(first + 3999, #hash)))
    end
    local left = redis.call('TTL', key)  -- EXPIRE GT is of Redis 7
    if is_new or (left >= 0 and left < ttl) then redis.call('EXPIRE', key, ttl) end
    written = written + 1
  end
  before = before + features + 1
end
return written
"""


class VersionedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """The options of Feast's Redis store; `skip_dedup` has no meaning here, and is ignored."""

    type: str = "feast_plugins.redis_online_store.VersionedRedisOnlineStore"


class VersionedRedisOnlineStore(RedisOnlineStore):
    """A store that writes a row unless a newer one is stored.

    Of equal event times the newest created wins; where these are equal too, or one row has none,
    the last written.
    """

    @staticmethod
    def _parse_connection_string(connection_string: str) -> tuple[list[dict[str, Any]], Any]:
        """Parse for Feast's clients; here a URL, `rediss://user:password@host:port/db`, is one too.

        Overrides a private function of Feast, which reads a password of digits as a number.
        """
        nodes, options = connection_options(connection_string)
        return [{"host": host, "port": port} for host, port in nodes], options

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write `data`, a few rows a script.

        A write only ever lengthens a key's TTL: all views of the entity share the hash.

        Raises redis.ResponseError when Redis is out of memory.
        """
        client = redis_client(self, config)
        script = client.register_script(WRITE_UNLESS_OLDER)
        for keys, arguments in _script_calls(client, config, table, data):
            script(keys=keys, args=arguments)
            if progress:
                progress(len(keys))

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Do the same for Feast's asynchronous push."""
        client = await async_redis_client(self, config)
        script = client.register_script(WRITE_UNLESS_OLDER)
        for keys, arguments in _script_calls(client, config, table, data):
            await script(keys=keys, args=arguments)
            if progress:
                progress(len(keys))

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete a view with its versions and the precomputed vectors that hold its values."""
        delete_view(redis_client(self, config), config, table)

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Delete every key of the project."""
        delete_project(redis_client(self, config), config)
        if config.entity_key_serialization_version < 3:  # its keys do not name their project
            for table in tables:
                self.delete_table(config, table)
        super().teardown(config, [], [])


def script_runs(client: Any, keys: Sequence[bytes], features: int) -> Iterator[list[int]]:
    """Yield the positions of the keys of each run of the script; in a cluster, of one slot."""
    slot_of = getattr(client, "keyslot", lambda key: 0)
    slots: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        slots.setdefault(slot_of(key), []).append(place)
    at_once = max(1, FIELDS_PER_SCRIPT // (features + 1))
    for places in slots.values():
        yield from (places[start : start + at_once] for start in range(0, len(places), at_once))


def _script_calls(
    client: Any, config: RepoConfig, view: FeatureView, rows: Sequence[Row]
) -> Iterator[tuple[list[bytes], list[bytes | str | int]]]:
    """Yield keys and arguments of each run."""
    names = [feature.name for feature in view.features]
    ttl = config.online_store.key_ttl_seconds or 0
    stored = stored_name(view, config)
    header = [time_field(stored), ttl, len(names), *(feature_field(stored, n) for n in names)]
    keys = [entity_key_bytes(key, config) for key, *_ in rows]
    for places in script_runs(client, keys, len(names)):
        cells = (cell for place in places for cell in _cells(rows[place], names))
        yield [keys[place] for place in places], [*header, *cells]


def _cells(row: Row, names: Sequence[str]) -> list[bytes]:
    _, values, event_time, created = row
    created = None if created is None else utils.make_tzaware(created)
    null = Value()
    return [
        encode_time(utils.make_tzaware(event_time), created),
        *(values.get(name, null).SerializeToString() for name in names),
    ]
