"""The progress time: the moment up to which every payment of the log is counted.

Without it a user who paid nothing, and a job that stands still, look alike in Redis.
"""

from collections import deque
from collections.abc import Callable
from functools import cache

import confluent_kafka as kafka
from confluent_kafka.admin import AdminClient, OffsetSpec

from exercise_05_streaming.topics import TRANSACTIONS
from lab.learn import UserError, settings

GROUP = "flink-features"  # the job commits its offsets under this name
TIMEOUT_S, NOTES = 10, 60
Offsets = dict[int, int]  # by partition


@cache
def admin(address: str) -> AdminClient:
    """Return a client of Kafka's administration."""
    return AdminClient({"bootstrap.servers": address, "log_level": 0})


def forget_offsets(group: str = GROUP) -> None:
    """Delete the offsets of an earlier job: a job that starts anew has read nothing yet."""
    for future in admin(settings.kafka_address).delete_consumer_groups([group]).values():
        failure = future.exception(TIMEOUT_S)
        if failure and failure.args[0].code() != kafka.KafkaError.GROUP_ID_NOT_FOUND:
            problem = f"the offsets of {group} are in use: {failure.args[0].str()}"
            raise UserError(problem, "stop the job that runs")


def end_offsets(topic: str, *, uncommitted: bool = False) -> Offsets:
    """Return the offset after the last record of each partition. Raises KafkaException."""
    client = admin(settings.kafka_address)
    partitions = client.list_topics(topic, TIMEOUT_S).topics[topic].partitions
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = {kafka.TopicPartition(topic, number): latest for number in partitions}
    level = kafka.IsolationLevel
    isolation = level.READ_UNCOMMITTED if uncommitted else level.READ_COMMITTED
    found = client.list_offsets(wanted, isolation_level=isolation, request_timeout=TIMEOUT_S)
    return {place.partition: future.result().offset for place, future in found.items()}


class Progress:
    """The newest note, a time and the end of the log then, that the job has reached.

    The job commits an offset with each checkpoint, when the tiles of all records before it are in
    the topic `user_tiles`. A payment of an open transaction holds its partition for everybody, as
    it should: until its end nobody knows whether it counts.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        options = {"bootstrap.servers": settings.kafka_address, "group.id": GROUP}
        options |= {"enable.auto.commit": "false", "enable.partition.eof": "true"}
        self._consumer = kafka.Consumer(options | {"fetch.wait.max.ms": "50", "log_level": "0"})
        self._clock_ms, self._reached_ms = clock_ms, 0
        self._notes: deque[tuple[int, Offsets]] = deque(maxlen=NOTES)
        self._counted: Offsets = {}

    def __call__(self) -> int:
        """Make a note; return the time of the newest note that was reached, 0 before the first.

        In milliseconds since 1970. Raises KafkaException.
        """
        now_ms = self._clock_ms()
        self._notes.append((now_ms, end_offsets(TRANSACTIONS, uncommitted=True)))
        self._read_committed()
        while self._notes and all(self._is_counted(*place) for place in self._notes[0][1].items()):
            self._reached_ms = self._notes.popleft()[0]
        return self._reached_ms

    def _read_committed(self) -> None:
        """Read the job's offsets, which cost no membership in its group."""
        places = [kafka.TopicPartition(TRANSACTIONS, number) for number in self._notes[-1][1]]
        for place in self._consumer.committed(places, TIMEOUT_S):
            self._counted[place.partition] = max(
                self._counted.get(place.partition, kafka.OFFSET_BEGINNING), place.offset
            )

    def _is_counted(self, partition: int, end: int) -> bool:
        """Return whether each record before an offset is counted.

        No offset is committed past the marker that ends a transaction, nor for an empty partition:
        a gap without a record is counted.
        """
        start = self._counted[partition]
        if start < end:
            self._consumer.assign([kafka.TopicPartition(TRANSACTIONS, partition, start)])
            found = self._consumer.poll(1)
            self._consumer.unassign()
            error = found.error() if found else None
            if found and error and error.code() == kafka.KafkaError._PARTITION_EOF:
                self._counted[partition] = max(start, found.offset() or 0)
        return self._counted[partition] >= end
