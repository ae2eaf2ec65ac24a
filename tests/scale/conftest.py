"""The fault-injection tests of `make scale`: collected only where `-m scale` selects them."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lab.settings import settings
from scale.redis_cluster import RedisNode, redis_cluster
from tests.waiting import eventually


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of `make scale`, which `make test` leaves out."""
    config.addinivalue_line("markers", "scale: several machines' parts as processes; `make scale`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is not selected; those of Spark run in the environment that has it."""
    is_spark, has_spark = "spark" in collection_path.name, find_spec("pyspark") is not None
    is_selected = config.option.markexpr == "scale" and is_spark == has_spark
    is_drill = collection_path.name.startswith("test_")
    return True if is_drill and not is_selected else None


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Any]]]:
    """Yield the master's URL and the workers of a cluster; one session uses it."""
    from pyspark.sql import SparkSession

    from scale.spark_cluster import spark_cluster

    with (
        pytest.MonkeyPatch.context() as patch,
        spark_cluster(tmp_path_factory.mktemp("spark")) as started,
    ):
        patch.setenv("SPARK_LOCAL_IP", settings.host)
        yield started
        if running := SparkSession.getActiveSession():
            running.stop()


@pytest.fixture
def redis_nodes(tmp_path: Path) -> Iterator[list[RedisNode]]:
    """Yield the nodes of a Redis Cluster that has copied itself to its replicas."""
    with redis_cluster(tmp_path / "redis") as nodes:
        eventually(lambda: all(node.is_replicated() for node in nodes))
        yield nodes
