"""The state of the job: how far it has read the log, and whether it runs.

The progress time is the moment up to which every payment of the log is counted. Without it a user
who paid nothing, and a job that stands still, look alike in Redis.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import confluent_kafka as kafka
from confluent_kafka.admin import AdminClient, OffsetSpec
from py4j.protocol import Py4JError

from exercise_05_streaming.topics import TRANSACTIONS
from lab.learn import UserError, settings

if TYPE_CHECKING:
    from pyflink.common.job_client import JobClient

GROUP = "flink-features"  # the job commits its offsets under this name
TIMEOUT_S, NOTES = 10, 60
LOGS = settings.build_dir / "flink" / "log"
FAILURE = r" to FAILED with failure cause:\s+(.*?)\n(?=\d{4}-|$)"  # until the next line with a time
Offsets = dict[int, int]  # by partition


@cache
def admin(address: str) -> AdminClient:
    """Return a client of Kafka's administration."""
    return AdminClient({"bootstrap.servers": address, "log_level": 0})


def forget_offsets(group: str = GROUP) -> None:
    """Delete the offsets of an earlier job: one without a checkpoint has read nothing yet."""
    deadline = time.monotonic() + TIMEOUT_S
    while failure := deletion_failure(group):
        if time.monotonic() > deadline:
            problem = f"the offsets of {group} cannot be deleted: {failure.str()}"
            raise UserError(problem, "stop the job that runs")
        time.sleep(0.1)  # a broker that has just started loads the groups


def deletion_failure(group: str) -> kafka.KafkaError | None:
    """Delete the offsets of a group; return the reason when that fails."""
    future = admin(settings.kafka_address).delete_consumer_groups([group])[group]
    failure = future.exception(TIMEOUT_S)
    error: kafka.KafkaError | None = failure.args[0] if failure else None
    return error if error and error.code() != kafka.KafkaError.GROUP_ID_NOT_FOUND else None


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
        options |= {"auto.offset.reset": "earliest"}
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
            known = self._counted.get(place.partition, 0)
            self._counted[place.partition] = max(known, place.offset)

    def _is_counted(self, partition: int, end: int) -> bool:
        """Return whether each record before an offset is counted.

        No offset is committed past the marker that ends a transaction, nor for a partition whose
        records have expired: a gap without a record is counted.
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


def first_cause(trace: str) -> str:
    """Return the innermost cause of a Java stack trace, which is what went wrong first."""
    causes = re.findall(r"^(?:Caused by)?: (.+)", trace, re.MULTILINE)
    return str([*trace.split("\n", 1)[:1], *causes][-1])


class JobWatch:
    """Follow a Flink job; print once a minute that it restarts, and why."""

    def __init__(self, job: "JobClient") -> None:
        self.job, self._end = job, job.get_job_execution_result()  # none is given after the end
        self._next_report = 0.0

    def is_running(self) -> bool:
        """Return whether the job has not ended; a job that restarts has not."""
        try:
            if self._end.done():
                return False
            is_restarting = self.job.get_job_status().result().name == "RESTARTING"
        except Py4JError:  # of a JVM without memory, or in the moment of the end
            return False
        if is_restarting and time.monotonic() > self._next_report:
            self._next_report = time.monotonic() + 60
            print(f"Flink restarts the job: {self.cause_in_log()}; less {LOGS}/*", flush=True)
        return True

    def cause_of_end(self) -> str:
        """Return why the job has ended."""
        try:
            self._end.result()
        except Py4JError as error:
            return first_cause(str(error))
        return "no failure"

    def cause_in_log(self) -> str:
        """Return the first cause of the first failure since the job was restarted last."""
        for log in LOGS.glob("*.log"):
            run = log.read_text(errors="replace").rpartition(" from state RESTARTING to RUNNING")[2]
            if failure := re.search(FAILURE, run, re.DOTALL):
                return first_cause(failure[1])
        return "no failure is in its log"
