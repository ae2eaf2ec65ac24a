"""The topics' options on a broker: Kafka's clock for the log, bounds for the tiles."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from exercise_05_streaming.produce_events import send
from exercise_05_streaming.production.environment import job_options
from exercise_05_streaming.production.lag import state_ttl
from exercise_05_streaming.production.preflight import (
    has_times_of_producers,
    options_of,
    report_other_options,
)
from exercise_05_streaming.production.verify import differences, replay_differences
from exercise_05_streaming.topics import (
    PARTITIONS,
    TILES,
    TOPICS,
    TRANSACTIONS,
    TopicReader,
    create_topics,
)
from exercise_05_streaming.verify import report
from lab.errors import UserError
from lab.settings import settings, utc_now
from lab.stack.kafka import KafkaBroker, private_kafka
from lab.stack.ports import free_port
from tests.exercise_05.payments import payment
from tests.exercise_05.pipeline import set_option
from tests.settings_in_force import PointSettings, settings_in_force
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

HOUR = timedelta(hours=1)
LONGEST_WINDOW, LONGEST_STOP = 25 * HOUR, 24 * HOUR
CALLERS = 4
TTL, MIRROR = "table.exec.state.ttl", "replay_mirror"
OURS = {TRANSACTIONS, TILES, MIRROR}
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with private_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def admin(broker: KafkaBroker) -> Iterator[AdminClient]:
    """Yield an admin client of a broker without topics."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    with settings_in_force(kafka_port=broker.port):
        yield admin
        for deleted in admin.delete_topics([*OURS]).values():
            deleted.exception(PATIENCE_S)  # a test may have created none
    eventually(lambda: OURS.isdisjoint(admin.list_topics(timeout=PATIENCE_S).topics))


def test_the_record_time_of_the_log_is_kafkas(admin: AdminClient, broker: KafkaBroker) -> None:
    create_topics()
    options = options_of(TRANSACTIONS)[TRANSACTIONS]
    assert options["message.timestamp.type"] == "LogAppendTime"
    assert options["retention.ms"] == "-1"
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(TRANSACTIONS, b"{}", partition=0, timestamp=1_000)  # in 1970
    assert producer.flush(PATIENCE_S) == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "test"})
    consumer.assign([TopicPartition(TRANSACTIONS, 0, 0)])
    message = consumer.poll(PATIENCE_S)
    consumer.close()
    assert message is not None
    assert message.timestamp()[1] > 1_700_000_000_000


def test_the_topic_of_tiles_is_bounded_and_nothing_is_reported(
    admin: AdminClient, capsys: pytest.CaptureFixture[str]
) -> None:
    create_topics()
    report_other_options(TOPICS)
    assert capsys.readouterr().out == ""
    assert job_options()[TTL] == f"{state_ttl() // MILLISECOND} ms"
    options = options_of(TILES)[TILES]
    assert sorted(options["cleanup.policy"].split(",")) == ["compact", "delete"]
    assert int(options["segment.ms"]) * MILLISECOND == HOUR
    assert int(options["max.compaction.lag.ms"]) * MILLISECOND <= 3 * HOUR
    needed = LONGEST_WINDOW + settings.allowed_lateness + LONGEST_STOP
    assert needed <= int(options["retention.ms"]) * MILLISECOND <= 2 * needed


def test_a_log_by_the_producers_clock_is_reported_in_production_and_works(
    admin: AdminClient, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.create_topics([NewTopic(TRANSACTIONS, PARTITIONS)])[TRANSACTIONS].result(PATIENCE_S)
    create_topics()
    report_other_options(TOPICS)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Topic transactions has retention.ms=")
    assert "message.timestamp.type=CreateTime: a producer's clock may decide what is late" in line
    assert options_of(TRANSACTIONS)[TRANSACTIONS]["message.timestamp.type"] == "CreateTime"
    assert job_options().get(TTL) is None, "the solution's: a day"
    assert send([("ann", "{}")]) == 1
    set_option(admin, TRANSACTIONS, "message.timestamp.type", "LogAppendTime")
    assert has_times_of_producers(), "the record of before counts"


def test_records_that_expired_before_they_were_read_are_reported(admin: AdminClient) -> None:
    """As after three days in which the reader was frozen; then it reads all that is left."""
    create_topics()
    reader = TopicReader(TRANSACTIONS)
    assert send(("ann", "{}") for _ in range(6)) == 6
    (partition,) = {record.partition() or 0 for record in reader.to_the_end()}
    place = TopicPartition(TRANSACTIONS, partition, 4)
    for deleted in admin.delete_records([place]).values():
        deleted.result(PATIENCE_S)
    reader._consumer.assign([TopicPartition(TRANSACTIONS, partition, 1)])
    assert send([("ann", "{}")]) == 1
    with pytest.raises(KafkaException, match="Offset out of range"):
        list(reader.to_the_end())
    assert [record.offset() for record in reader.to_the_end()] == [4, 5, 6]


def test_a_mirror_of_the_log_is_compared_with_it(admin: AdminClient, broker: KafkaBroker) -> None:
    create_topics(TOPICS | {MIRROR: {"message.timestamp.type": "CreateTime"}})
    send((user, json.dumps(payment(user, utc_now()))) for user in ("ann", "bob", "ann"))
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    records = list(TopicReader(TRANSACTIONS).to_the_end())
    for record in records:
        producer.produce(MIRROR, record.value(), timestamp=record.timestamp()[1])
    assert producer.flush(PATIENCE_S) == 0
    assert replay_differences(MIRROR) == []
    producer.produce(MIRROR, records[0].value(), timestamp=records[0].timestamp()[1])
    assert producer.flush(PATIENCE_S) == 0
    (one, other) = replay_differences(MIRROR)
    assert {one.split()[0], other.split()[0]} == {"log", "replay"}
    with pytest.raises(UserError, match="transactions is no replay"):
        replay_differences(TRANSACTIONS)


@pytest.mark.parametrize("missing", ["kafka_port", "redis_port"])
def test_a_comparison_without_a_service_names_it(
    admin: AdminClient,
    missing: str,
    point_settings: PointSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exercise_05_streaming.topics.TIMEOUT_S", 1)
    point_settings(**{missing: (port := free_port())})
    compare = differences if missing == "redis_port" else lambda: replay_differences(MIRROR)
    with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port}: .*\n.*lab up"):
        report(compare)


def test_processes_that_create_the_topics_at_once_all_find_them(admin: AdminClient) -> None:
    """Right after the creation a broker answers UNKNOWN_TOPIC_OR_PART for some milliseconds."""
    admin.list_topics(timeout=PATIENCE_S)  # it is connected, so it sends at once

    def create(_: int) -> set[str]:
        create_topics()
        return set(admin.list_topics(timeout=PATIENCE_S).topics)

    with ThreadPoolExecutor(CALLERS) as callers:
        found = list(callers.map(create, range(CALLERS)))
    assert all({TRANSACTIONS, TILES} <= known for known in found)
