"""Engine, stores, readers and writers on a Redis Cluster; a master is killed under load."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
import pytest
import redis
from feast import FeatureStore

from feast_plugins.online_reader import OnlineReader
from lab.settings import settings, utc_now
from scale.processes import kill
from scale.redis_cluster import RedisNode, connection_string
from tests.exercise_04.conftest import save_a_model
from tests.exercise_04.serving_shop import payments, publish_progress, running_api
from tests.exercise_05.tiles_by_hand import Event, stored_tiles, values_at, versions
from tests.feast_plugins.asof_repo import START
from tests.feast_plugins.engine.engine_repo import END
from tests.feast_plugins.engine.test_engine_redis_servers import USERS, store_at
from tests.scale.faults import repeated
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Size
from tests.waiting import eventually

pytestmark = pytest.mark.scale

ROUNDS, KILLED_AT = 80, 40
FAIL_OVER_S = 30  # 2 s of silence, a vote and the client's retries; more on a loaded machine
TIMEOUTS = ",socket_timeout=2,socket_connect_timeout=2"


class Attempts:
    """Actions that are repeated until Redis answers; errors are counted by their type."""

    def __init__(self) -> None:
        self.errors, self.longest = Counter[str](), 0.0

    def once(self, action: Callable[[], Any]) -> bool:
        try:
            action()
        except (redis.RedisError, ConnectionError) as error:
            self.errors[type(error).__name__] += 1
            return False
        return True

    def until_done(self, action: Callable[[], Any]) -> None:
        """Fail after the time of a fail-over, which so bounds the errors."""
        began = monotonic()
        eventually(lambda: self.once(action), FAIL_OVER_S)
        self.longest = max(self.longest, monotonic() - began)

    def __str__(self) -> str:
        return f"longest {self.longest:.1f} s, {dict(self.errors)}"


def kill_master(nodes: list[RedisNode]) -> None:
    kill(next(node for node in nodes if node.is_master()))


def test_a_killed_master_costs_bounded_errors_and_no_newer_value(
    redis_nodes: list[RedisNode], tmp_path: Path
) -> None:
    """A write is repeated until it is acknowledged; a second writer writes versions five older."""
    nodes = connection_string(redis_nodes) + TIMEOUTS
    store = store_at(tmp_path, nodes, redis_type="redis_cluster")
    second = FeatureStore(config=store.config)  # redis-py's client is of one thread at a fail-over
    store.materialize(START, END)
    reader = OnlineReader.open(store.config, "s", timeout_s=2)
    writes, older_writes, reads = Attempts(), Attempts(), Attempts()
    version, older, found = 0, 0, list[Any]()

    def write(store: FeatureStore, version: int) -> None:
        moment = END + timedelta(seconds=version)
        rows = {"user_id": USERS, "value": version, "event_timestamp": moment, "created": moment}
        store.write_to_online_store("v", pd.DataFrame(rows))

    def read() -> None:
        found[:] = reader.read({"user_id": USERS}).values["value"]

    read()
    assert found == list(range(50))
    with repeated(lambda: older_writes.once(partial(write, second, version - 5))):
        for version in range(1, ROUNDS):
            if version == KILLED_AT:
                kill_master(redis_nodes)
            writes.until_done(partial(write, store, version))
            reads.until_done(read)
            older += sum(value < version for value in found)
    print(f"writes: {writes}; reads: {reads}; of the second writer: {older_writes}")
    assert older == 0
    assert writes.errors


def test_exercises_three_to_five(redis_nodes: list[RedisNode], new_shop: NewShop) -> None:
    """Features are in the cluster; one small Redis has the cache and the progress time."""
    shop = new_shop(Size(2_000, as_of=utc_now()))
    cluster = {"redis_cluster": connection_string(redis_nodes), "stores": "plugins"}
    with settings_in_force(**shop.settings, **cluster):
        from exercise_03_materialize.materialize import initial_materialization
        from exercise_05_streaming.windows import features
        from exercise_05_streaming.writer import FeastSink

        initial_materialization(days_back=30)
        save_a_model(settings.model_dir)
        body, sink, writes, reads = payments(1)[0], FeastSink(), Attempts(), Attempts()
        user, events, found = body["user_id"], list[Event](), dict[str, Any]()

        def predict() -> None:
            answer = api.post("/predict", json=body)
            if answer.status_code == 503:
                raise ConnectionError
            found.update(answer.json()["features"])

        with running_api(feature_cache="off") as api:
            for number in range(ROUNDS):
                if number == KILLED_AT:
                    batch = dict(found)
                    kill_master(redis_nodes)
                now_ms = int(utc_now().timestamp() * 1_000)
                events.append(Event(user, now_ms, 100 * number, declined=False))
                rows = features(stored_tiles(versions(events)).frame([user]), now_ms)
                writes.until_done(partial(sink.write, rows, now_ms))
                publish_progress()
                reads.until_done(predict)
                recounted = values_at(events, now_ms)[user]
                streaming = recounted.keys() & found.keys()
                assert all(found[name] == recounted[name] for name in streaming)
        print(f"writes: {writes}; predictions: {reads}")
        assert {name for name in batch if found[name] != batch[name]} <= streaming
