"""`lab redis show`: the hash that Redis stores for an entity, behind its binary key."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, timedelta
from string import ascii_letters
from typing import Any

from feast import FeatureStore, FeatureView
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from google.protobuf.timestamp_pb2 import Timestamp

from lab.errors import UserError
from lab.feature_store import connect_redis
from lab.learn import open_store, settings


def show(entity: str) -> Iterator[str]:
    """Yield the lines of each hash of an entity; UserError if Redis has none."""
    store, client = open_store(), connect_redis()
    views_of = defaultdict(list)
    for view in store.list_feature_views():
        if len(view.join_keys) == 1:
            views_of[view.join_keys[0]].append(view)
    found = False
    for join_key, views in views_of.items():
        for key, stored in _hashes(store, client, views[0], entity):
            found = True
            yield f"{join_key} {entity}: a hash of {len(stored)} fields"
            yield from _key_lines(key, client.ttl(key))
            yield from (line for view in views for line in _view_lines(view, stored))
    if not found:
        raise UserError(f"Redis at {settings.redis_address} has no row of {entity}", "lab run 3")


def _hashes(
    store: FeatureStore, client: Any, view: FeatureView, entity: str
) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Yield the key and the hash of an entity, if there is one."""
    kind = view.entity_columns[0].dtype.to_value_type()
    try:
        value = python_values_to_proto_values([entity], kind)
    except ValueError:  # a text is no key of numbers
        return
    entity_key = EntityKey(join_keys=view.join_keys, entity_values=value)
    key = _redis_key(store.project, entity_key, store.config.entity_key_serialization_version)
    if stored := client.hgetall(key):
        yield key, stored


def _key_lines(key: bytes, ttl_s: int) -> Iterator[str]:
    """Yield a command for the shell that reads the hash, and what is left of its time to live."""
    letters = (chr(byte) if chr(byte) in ascii_letters else f"\\x{byte:02x}" for byte in key)
    quoted = f"'\"{''.join(letters)}\"'"
    yield f"  redis-cli -p {settings.redis_port} --quoted-input HGETALL {quoted}"
    left = "none, the key stays" if ttl_s < 0 else f"{timedelta(seconds=ttl_s)} left"
    yield f"  TTL of the key, which all its views share: {left}"


def _view_lines(view: FeatureView, stored: dict[bytes, bytes]) -> Iterator[str]:
    """Yield a view's event time and values, each with its field of the hash."""
    written = stored.get(f"_ts:{view.name}".encode())
    if written is None:
        yield f"  {view.name}: not in Redis"
        return
    moment = Timestamp.FromString(written).ToDatetime(UTC)
    yield f"  {view.name}, as of {moment:%Y-%m-%d %H:%M:%S} UTC, TTL {view.ttl}"
    for feature in view.features:
        field = _mmh3(f"{view.name}:{feature.name}")
        value = feast_value_type_to_python_type(Value.FromString(stored.get(field, b"")))
        yield f"    {field.hex()}  {feature.name}  {value}"
