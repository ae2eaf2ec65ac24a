"""One dataset sees nothing of another: Redis, Kafka, the data folder and the build folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from lab.dataset import manifest
from lab.dataset.manifest import Manifest
from lab.derived import separate_datasets
from lab.settings import Settings, settings
from lab.stack import down, up
from lab.stack.kafka import private_kafka
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer
from tests.shop import AS_OF

FIRST = Manifest(name="simulated", start=AS_OF, as_of=AS_OF, label="fraud", origin="first")
SECOND = FIRST.model_copy(update={"name": "complete_journey", "origin": "second"})
RESULTS = ("build/load_test.png", "build/scorecard.json", "models/model.json")
NAMES = ("X_train.parquet", "monitoring", "load_test.png", "models", "2 keys")
DERIVED = ("data/X_train.parquet", "data/monitoring/monitoring.db", *RESULTS)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Settings]:
    """Yield a lab of its own, with the first dataset and no service yet."""
    (tmp_path / "data").mkdir()
    manifest.write(FIRST, tmp_path / "data")
    folders = {f"{name}_dir": tmp_path / name for name in ("data", "build", "stack")}
    folders |= {"model_dir": tmp_path / "models"}
    ports = {"redis_port": free_port(), "kafka_port": free_port()}
    config = settings.model_copy(update={**folders, **ports, "stack_engine": "process"})
    separate_datasets(config)
    yield config
    down(config)


@pytest.fixture
def fill(config: Settings) -> Callable[[], None]:
    """Derive a file of each kind, and keys of the features' and the cache's database."""

    def fill() -> None:
        for file in DERIVED:
            path = config.data_dir.parent / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)
        redis = RedisServer(config).client()
        redis.set("feature", 1)
        redis.select(1)
        redis.set("cached", 1)

    return fill


def contents(config: Settings) -> tuple[int, set[str]]:
    """Return how many keys Redis has, and which derived files are in their places."""
    root = config.data_dir.parent
    databases = RedisServer(config).client().info("keyspace").values()
    keys = sum(database["keys"] for database in databases)
    return keys, {file for file in DERIVED if (root / file).exists()}


@pytest.mark.services
def test_another_dataset_finds_nothing_of_the_first(
    config: Settings, fill: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    up(["redis"], config)
    separate_datasets(config)
    fill()
    capsys.readouterr()
    separate_datasets(config)
    assert (contents(config), capsys.readouterr().out) == ((2, set(DERIVED)), "")

    manifest.write(SECOND, config.data_dir)
    separate_datasets(config)
    assert contents(config) == (0, set())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["data", "build", "redis"]
    assert all("(simulated first)" in line for line in lines)
    assert [name for name in NAMES if name not in "".join(lines)] == []
    earlier = (config.build_dir / "earlier").rglob("*.*")
    assert {file.read_text() for file in earlier if file.is_file()} == set(DERIVED)


@pytest.mark.services
def test_a_service_that_was_down_is_cleared_once_it_runs(
    config: Settings, fill: Callable[[], None]
) -> None:
    up(["redis"], config)
    separate_datasets(config)
    fill()
    down(config)
    manifest.write(SECOND, config.data_dir)
    separate_datasets(config)
    up(["redis"], config)
    assert contents(config) == (2, set())
    separate_datasets(config)
    assert contents(config) == (0, set())


@pytest.mark.services
def test_contents_without_a_stamp_are_another_datasets(
    config: Settings, fill: Callable[[], None]
) -> None:
    """As after `lab up` without data."""
    up(["redis"], config)
    fill()
    separate_datasets(config)
    assert contents(config) == (0, set(DERIVED))


@pytest.mark.kafka
def test_topics_of_another_dataset_are_deleted(config: Settings, tmp_path: Path) -> None:
    with private_kafka(config.stack_dir) as broker:
        at_broker = config.model_copy(update={"kafka_port": broker.port})
        separate_datasets(at_broker)
        for name in ("transactions", "user_tiles"):
            with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
                producer.send(name, b"one").get(timeout=30)
        separate_datasets(at_broker)
        assert topics(broker.bootstrap) == {"transactions", "user_tiles"}
        manifest.write(SECOND, config.data_dir)
        separate_datasets(at_broker)
        assert topics(broker.bootstrap) == set()


def topics(bootstrap: str) -> set[str]:
    with KafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        return {name for name in consumer.topics() if not name.startswith("__")}
