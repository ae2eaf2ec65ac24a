"""Stores with the columnar engine, or with Feast's own parts, on a private Redis."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from feast import FeatureStore, FeatureView
from google.protobuf.timestamp_pb2 import Timestamp

from feast_plugins.redis_encoding import time_field
from lab.stack.redis import RedisServer
from tests.feast_plugins.asof_repo import USER
from tests.feast_plugins.engine.engine_repo import ENGINE, SHOP, Dump, OpenStore


@pytest.fixture
def dump(client: redis.Redis) -> Callable[[], Dump]:
    """Return every hash, without the created times, which Feast's own store does not write."""

    def read() -> Dump:
        hashes = {key: client.hgetall(key) for key in client.scan_iter(count=1_000)}
        for fields in hashes.values():
            times = {name: fields[name] for name in fields if name.startswith(time_field(""))}
            fields.update({name: plain_timestamp(stored) for name, stored in times.items()})
        return hashes

    return read


def plain_timestamp(stored: bytes) -> bytes:
    timestamp = Timestamp.FromString(stored)
    timestamp.DiscardUnknownFields()
    return bytes(timestamp.SerializeToString())


@pytest.fixture
def open_store(client: redis.Redis, server: RedisServer, tmp_path: Path) -> OpenStore:
    """Apply views to a SQL registry, in a project that no other test has.

    Feast's SDK caches what it reads of a SQL registry by the project and the `id()` of an object
    that a later registry can have again.
    """

    def applied(
        *views: FeatureView, parts: dict[str, Any] = ENGINE, name: str = "r"
    ) -> FeatureStore:
        online = {**parts["online_store"], "connection_string": f"127.0.0.1:{server.port}"}
        config = {
            "provider": "local",
            "project": tmp_path.name,
            "registry": {"registry_type": "sql", "path": f"sqlite:///{tmp_path / name}.db"},
            "entity_key_serialization_version": 3,
            **parts,
            "online_store": online,
        }
        (tmp_path / "feature_store.yaml").write_text(yaml.safe_dump(config))
        store = FeatureStore(repo_path=str(tmp_path))
        store.apply([USER, SHOP, *views])
        return store

    return applied
