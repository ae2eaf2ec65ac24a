"""The topics: `python -m exercise_05_streaming.topics` creates them; TopicReader reads one."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import confluent_kafka as kafka
import redis
from confluent_kafka.admin import AdminClient, NewTopic

from lab.learn import UserError, run_script, settings

TRANSACTIONS, TILES = "transactions", "user_tiles"
PARTITIONS, TIMEOUT_S = 4, 10
BATCH, POLL_S, STALLED_S = 1_000, 0.2, 60
# What an event's texts may be: ISO 8601 in UTC, with or without a zone, and an amount under ten
# billion. The exponent is limited, because a cast of 1e300000000 takes minutes.
DAY, CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
EVENT_TIME = f"({DAY}[T ]{CLOCK}([.][0-9]{{1,9}})?)(Z|[+]00:00)?"
AMOUNT = "[0-9]{1,18}([.][0-9]{0,40})?([eE][+-]?[0-9]{1,2})?"
TOPICS = {
    TRANSACTIONS: {
        # The log: every feature is recomputed from it, so nothing expires.
        "retention.ms": "-1",
        # A record's time, by which an event is late, is Kafka's. By default it is the producer's.
        # Old events with record times of their own, a replay or a mirror of a log, go into a topic
        # `replay_…` of type CreateTime. They can be compared, and no feature is served from them.
        "message.timestamp.type": "LogAppendTime",
    },
    TILES: {
        # Only the newest record of a key counts, and a tile is deleted once no window needs it.
        "cleanup.policy": "compact,delete",
        # 25 h for the longest window, 15 minutes of lateness, and a writer that is down for 46 h.
        "retention.ms": str(3 * 86_400_000),
        # Nothing in an open segment is compacted or deleted; by default it is open for a week.
        "segment.ms": str(3_600_000),
        # By default a segment is compacted when half of the log is new, however long that takes.
        "max.compaction.lag.ms": str(2 * 3_600_000),
    },
}


@contextmanager
def available_services() -> Iterator[None]:
    """Raise UserError in place of an error of Kafka or Redis."""
    try:
        yield
    except kafka.KafkaException as error:
        problem = f"Kafka at {settings.kafka_address}: {error.args[0].str()}"
        raise UserError(problem, "lab up kafka") from error
    except redis.RedisError as error:
        raise UserError(f"Redis at {settings.redis_address}: {error}", "lab up redis") from error


@available_services()
def create_topics(topics: Mapping[str, dict[str, str]] = TOPICS) -> None:
    """Create the topics that do not exist yet; return when each partition can be read."""
    admin, consumer = new_admin(), new_consumer("topics")
    new = [NewTopic(name, PARTITIONS, config=config) for name, config in topics.items()]
    deadline = time.monotonic() + TIMEOUT_S
    for future in admin.create_topics(new, request_timeout=TIMEOUT_S).values():
        failure = future.exception()
        if failure and failure.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:
            raise failure
    while not all(is_readable(consumer, topic) for topic in topics):  # for some milliseconds
        if time.monotonic() > deadline:
            raise UserError(f"Kafka at {settings.kafka_address} has topics without a leader")
        time.sleep(0.05)


def new_admin() -> AdminClient:
    """Return a client of Kafka that manages topics."""
    return AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})


def topic_ids(admin: AdminClient) -> str:
    """Return the ids of the topics: one that is created again has another."""
    found = admin.describe_topics(kafka.TopicCollection([*TOPICS]), request_timeout=TIMEOUT_S)
    return "-".join(str(found[name].result().topic_id) for name in TOPICS)


def is_readable(consumer: kafka.Consumer, topic: str) -> bool:
    """Return whether every partition of a topic has a leader that answers."""
    try:
        return bool(end_offsets(consumer, topic))
    except kafka.KafkaException:
        return False


def new_consumer(
    group: str, isolation: str = "read_committed", reset: str = "earliest"
) -> kafka.Consumer:
    """Return a client of Kafka that reads from the oldest record on, and commits nothing itself."""
    options = {"bootstrap.servers": settings.kafka_address, "group.id": group, "log_level": 0}
    options |= {"auto.offset.reset": reset, "isolation.level": isolation}
    options |= {"enable.auto.commit": False, "enable.partition.eof": True}
    return kafka.Consumer(options | {"fetch.wait.max.ms": 50})


def places_in(topic: str, partitions: Iterable[int], offset: int = 0) -> list[kafka.TopicPartition]:
    """Return an offset in each of the partitions."""
    return [kafka.TopicPartition(topic, number, offset) for number in partitions]


def end_offsets(consumer: kafka.Consumer, topic: str) -> dict[int, int]:
    """Return the end of each partition, as far as the consumer may read. Raises KafkaException."""
    found = consumer.list_topics(topic, TIMEOUT_S).topics[topic]
    if found.error:
        raise kafka.KafkaException(found.error)
    places = places_in(topic, found.partitions)
    return {p.partition: consumer.get_watermark_offsets(p, TIMEOUT_S)[1] for p in places}


@available_services()
def offsets_at(ms: int) -> dict[int, int]:
    """Return where in each partition of the log the records of a time begin, else its end."""
    consumer = new_consumer("log", "read_uncommitted")
    ends = end_offsets(consumer, TRANSACTIONS)
    found = consumer.offsets_for_times(places_in(TRANSACTIONS, ends, ms), TIMEOUT_S)
    return {p.partition: p.offset if p.offset >= 0 else ends[p.partition] for p in found}


class TopicReader:
    """All committed records of a topic, from the oldest on."""

    def __init__(self, topic: str) -> None:
        self._consumer, self._topic = new_consumer("reader", reset="error"), topic
        self._next: dict[int, int] = {}  # the next offset of each partition

    def to_the_end(self) -> Iterator[kafka.Message]:
        """Yield what the topic holds now, and what arrives within 0.2 s.

        Partitions that were added are read, too. An open transaction ends its partition here.
        Raises KafkaException, which names the partitions, when nothing comes for a minute.
        """
        ends = end_offsets(self._consumer, self._topic)
        added = ends.keys() - self._next
        self._consumer.incremental_assign(places_in(self._topic, added, kafka.OFFSET_BEGINNING))
        self._next |= dict.fromkeys(added, 0)
        yield from self._poll()
        deadline = time.monotonic() + STALLED_S
        while unread := [number for number, end in ends.items() if self._next[number] < end]:
            if time.monotonic() > deadline:
                problem = f"nothing comes of {self._topic}, partitions {unread}"
                raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._TIMED_OUT, problem))
            for message in self._poll():
                deadline = time.monotonic() + STALLED_S
                yield message

    def _poll(self) -> Iterator[kafka.Message]:
        failure = None
        for message in self._consumer.consume(BATCH, POLL_S):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                self._next[partition or 0] = (offset or 0) + 1
                yield message
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                self._next[partition or 0] = offset or 0  # past the markers of transactions
            else:
                failure = error
                if error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:  # it has expired
                    del self._next[partition or 0]  # the next call begins with the oldest record
                    self._consumer.incremental_unassign(places_in(self._topic, [partition or 0]))
        if failure:
            raise kafka.KafkaException(failure)


if __name__ == "__main__":
    run_script(create_topics)
