"""Engine and store on a Redis Cluster; a master is killed under load."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pandas as pd
import pytest
import redis
from feast import FeatureStore

from scale.redis_cluster import connection_string, redis_cluster
from tests.feast_plugins.asof_repo import START, online
from tests.feast_plugins.engine.engine_repo import END
from tests.feast_plugins.engine.test_engine_redis_servers import USERS, store_at
from tests.waiting import eventually

pytestmark = pytest.mark.scale

ROUNDS, KILLED_AT = 80, 40
FAIL_OVER_S = 30  # 2 s of silence, a vote and the client's retries; more on a loaded machine
TIMEOUTS = ",socket_timeout=2,socket_connect_timeout=2"


class Load:
    """A writer of every user's value; it counts its errors by their type."""

    def __init__(self, store: FeatureStore) -> None:
        self._store, self.errors = store, Counter[str]()

    def write(self, version: int) -> bool:
        """Write `version`, an event of so many seconds after the data; False if Redis fails."""
        moment = END + timedelta(seconds=version)
        rows = {"user_id": USERS, "value": version, "event_timestamp": moment, "created": moment}
        try:
            self._store.write_to_online_store("v", pd.DataFrame(rows))
        except redis.RedisError as error:
            self.errors[type(error).__name__] += 1
            return False
        return True


@contextmanager
def repeated(action: Callable[[], object]) -> Iterator[None]:
    """Repeat an action on a thread until the block ends."""
    stopped = Event()

    def run() -> None:
        while not stopped.is_set():
            action()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_a_killed_master_costs_bounded_errors_and_no_newer_value(tmp_path: Path) -> None:
    """A write is repeated until it is acknowledged; a second writer writes versions five older."""
    with redis_cluster(tmp_path / "nodes") as nodes:
        options = {"redis_type": "redis_cluster"}
        store = store_at(tmp_path, connection_string(nodes) + TIMEOUTS, **options)
        store.materialize(START, END)
        assert online(store, *USERS) == list(range(50))
        first, second = Load(store), Load(FeatureStore(config=store.config))
        longest, version, older = 0.0, 0, 0
        with repeated(lambda: second.write(version - 5)):
            for version in range(1, ROUNDS):
                if version == KILLED_AT:
                    next(node for node in nodes if node.is_master()).kill()
                began = monotonic()
                eventually(partial(first.write, version), FAIL_OVER_S)
                longest = max(longest, monotonic() - began)
                older += sum(value < version for value in online(store, *USERS))
    print(f"longest write {longest:.1f} s; {first.errors}; of the second writer {second.errors}")
    assert older == 0
    assert 0 < sum(first.errors.values()) < 100
