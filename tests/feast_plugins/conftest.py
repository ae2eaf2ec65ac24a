"""A private Redis for the tests of a module."""

from collections.abc import Iterator

import pytest
import redis

from lab.stack.redis import RedisServer, private_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    """Return a client of the module's Redis, which is emptied."""
    client = server.client()
    client.flushall()
    return client
