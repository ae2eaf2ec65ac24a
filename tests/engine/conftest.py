"""A private Redis, and stores with registries of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from feast import FeatureStore, FeatureView

from lab.stack.redis import RedisServer, private_redis
from tests.engine.engine_repo import OURS, SHOP, USER, Dump, OpenStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    found = server.client()
    found.flushall()
    return found


@pytest.fixture
def dump(client: redis.Redis) -> Callable[[], Dump]:
    return lambda: {key: client.hgetall(key) for key in client.scan_iter(count=1_000)}


@pytest.fixture
def open_store(client: redis.Redis, server: RedisServer, tmp_path: Path) -> OpenStore:
    """Applies views to a registry of their own."""

    def applied(*views: FeatureView, parts: dict[str, Any] = OURS, name: str = "r") -> FeatureStore:
        online = {**parts["online_store"], "connection_string": f"127.0.0.1:{server.port}"}
        config = {
            "provider": "local",
            "project": "p",
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
