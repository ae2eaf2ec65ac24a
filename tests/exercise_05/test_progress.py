"""The progress time on a real Kafka; what the job commits is committed by the test."""

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from exercise_05_streaming import topics
from exercise_05_streaming.progress import Progress, group_of
from exercise_05_streaming.topics import (
    PARTITIONS,
    TILES,
    TRANSACTIONS,
    TopicReader,
    end_offsets,
    new_consumer,
)
from lab.errors import UserError
from tests.exercise_05.pipeline import Pipeline
from tests.settings_in_force import PointSettings
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka


GENERATION = 7


class Clock:
    now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Log:
    """The log, and the job's committed offsets."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.address = pipeline, {"bootstrap.servers": pipeline.broker.bootstrap}
        self.clock = Clock()
        self.progress = Progress(GENERATION, self.clock)

    def send(self, *partitions: int) -> None:
        producer = Producer(self.address)
        for partition in partitions:
            producer.produce(TRANSACTIONS, b"{}", partition=partition)
        assert producer.flush(PATIENCE_S) == 0

    def transaction(self, name: str) -> Producer:
        """Begin a transaction with one record in partition 0."""
        producer = Producer(self.address | {"transactional.id": name})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        producer.produce(TRANSACTIONS, b"{}", partition=0)
        producer.flush(PATIENCE_S)
        return producer

    def commit(self, generation: int | None = None, **offsets: int) -> None:
        """Commit offsets of partitions: p0=3."""
        places = [TopicPartition(TRANSACTIONS, int(p[1:]), n) for p, n in offsets.items()]
        name = group_of(GENERATION if generation is None else generation)
        job = Consumer(self.address | {"group.id": name})
        job.commit(offsets=places, asynchronous=False)
        job.close()

    def reaches(self, note: int) -> bool:
        """Return whether the progress time is, or soon becomes, this note or a newer one."""
        eventually(lambda: self.progress() >= note)
        return True

    def stays(self) -> bool:
        """Return whether three more notes are not reached."""
        before = self.progress()
        return {self.progress() for _ in range(3)} == {before}


@pytest.fixture
def log(new_pipeline: Callable[[], Pipeline], point_settings: PointSettings) -> Log:
    pipeline = new_pipeline()
    point_settings(kafka_port=pipeline.broker.port)
    return Log(pipeline)


def test_an_empty_log_is_counted(log: Log) -> None:
    assert log.progress() == 1
    assert log.progress() == 2


def test_it_is_the_newest_note_that_all_partitions_have_reached(log: Log) -> None:
    log.send(0, 1)
    assert log.progress() == 0
    log.send(1)
    assert log.progress() == 0
    log.commit(p0=1)
    assert log.progress() == 0
    log.commit(p1=1)
    assert log.progress() == 1
    log.commit(p1=2)
    assert log.progress() == 5


def test_the_marker_of_a_transaction_is_no_payment(log: Log) -> None:
    """No job ever commits past it: 1 of 2, for good."""
    log.transaction("committed").commit_transaction(PATIENCE_S)
    assert log.stays()
    log.commit(p0=1)
    assert log.reaches(log.clock.now + 1)
    log.transaction("aborted").abort_transaction(PATIENCE_S)
    assert log.reaches(log.clock.now + 1)
    log.send(0)
    assert log.stays()


def test_an_open_transaction_holds_the_progress(log: Log) -> None:
    """Until it ends, what depends on it is unknown, payments of others among it."""
    log.send(0)
    log.commit(p0=1)
    assert log.reaches(1)
    producer = log.transaction("open")
    log.send(0)
    assert log.stays()
    assert len(list(TopicReader(TRANSACTIONS).to_the_end())) == 1, "a read ends, and before it"
    producer.commit_transaction(PATIENCE_S)
    assert log.stays()
    log.commit(p0=3)
    assert log.reaches(log.clock.now + 1)


def test_a_partition_that_was_added_is_waited_for(log: Log) -> None:
    assert log.reaches(1)
    admin = AdminClient(dict(log.address))
    added = [NewPartitions(TRANSACTIONS, PARTITIONS + 1)]
    for done in admin.create_partitions(added).values():
        done.result(PATIENCE_S)
    eventually(has_a_leader)
    log.send(PARTITIONS)
    assert log.stays()
    log.commit(**{f"p{PARTITIONS}": 1})
    assert log.reaches(log.clock.now + 1)


def has_a_leader() -> bool:
    """Return whether the added partition can be read."""
    try:
        return len(end_offsets(new_consumer("test"), TRANSACTIONS)) == PARTITIONS + 1
    except KafkaException:
        return False


def test_offsets_of_an_earlier_job_that_still_runs_do_not_count(log: Log) -> None:
    log.send(0)
    log.commit(GENERATION - 1, p0=1)
    assert log.stays()
    log.commit(p0=1)
    assert log.reaches(log.clock.now)


@pytest.mark.parametrize("topic", [TRANSACTIONS, TILES])
def test_topics_that_are_created_again_end_it(log: Log, topic: str) -> None:
    """The job has committed more than the new log has."""
    log.send(0)
    log.commit(p0=1)
    assert log.reaches(1)
    log.pipeline.create_again(topic)
    with pytest.raises(UserError, match="the topics were created again"):
        log.progress()


def test_a_log_that_is_gone_is_not_counted(log: Log) -> None:
    """A log without partitions would be counted to its end."""
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        end_offsets(new_consumer("test"), "no_such_topic")


def test_a_read_that_stalls_ends_and_names_the_partitions(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Kafka is gone in the middle of it."""
    monkeypatch.setattr(topics, "STALLED_S", 0)
    monkeypatch.setattr(topics, "end_offsets", lambda *_: {0: 0, 2: 7})
    with pytest.raises(KafkaException, match=r"transactions, partitions \[2\]"):
        list(TopicReader(TRANSACTIONS).to_the_end())
