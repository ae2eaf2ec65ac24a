"""One Kafka and one Redis for the pipeline's tests; one pipeline at a time uses them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest

from lab.settings import settings
from lab.stack.flink import connector_jars
from lab.stack.kafka import KafkaBroker, private_kafka
from lab.stack.redis import RedisServer, private_redis
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.shop import SimulatedData, Size, open_shop


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of the tests of `make drills`, which `make test` leaves out."""
    config.addinivalue_line("markers", "drills: an injected fault of a minute, by `make drills`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked, unless `-m` selects it."""
    if "drills" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("drills")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def stream_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    missing = [program for program in ("java", "javac", "mvn") if which(program) is None]
    if missing:
        pytest.skip(f"missing {missing}: scripts/system-packages {' '.join(missing)}")
    connector_jars(settings)
    with private_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def stream_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def new_pipeline(
    tmp_path_factory: pytest.TempPathFactory, stream_kafka: KafkaBroker, stream_redis: RedisServer
) -> NewPipeline:
    """Make pipelines whose topics and Redis are empty; the last one made is in use."""

    def make() -> Pipeline:
        pipeline = Pipeline(stream_kafka, stream_redis, tmp_path_factory.mktemp("pipeline"))
        pipeline.empty_services()
        return pipeline

    return make


@pytest.fixture(scope="session")
def registry(
    tmp_path_factory: pytest.TempPathFactory,
    stream_redis: RedisServer,
    simulated_data: SimulatedData,
) -> Path:
    """Return a data folder in which the definitions are applied."""
    data = simulated_data(Size(2_000, history=timedelta(days=40)))
    return open_shop(tmp_path_factory.mktemp("shop"), stream_redis, data).data
