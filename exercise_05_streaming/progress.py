"""The state of the job: how far it has read the log, and whether it runs.

The progress time is the moment up to which every payment of the log is counted. Without it a user
who paid nothing, and a job that stands still, look alike in Redis.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import confluent_kafka as kafka
from py4j.protocol import Py4JError

from exercise_05_streaming import topics
from exercise_05_streaming.topics import TRANSACTIONS, end_offsets, new_consumer, places_in
from lab.learn import UserError, settings

LOGS = settings.build_dir / "flink" / "log"
Offsets = dict[int, int]  # by partition


def clock_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def group_of(generation: int) -> str:
    """Return the name under which the job of a generation commits its offsets.

    An earlier job that still runs commits under another name: what it read is not counted here.
    """
    return f"flink-features-{generation}"


class JobOffsets:
    """The committed offsets of a generation's job. Methods raise KafkaException."""

    def __init__(self, generation: int) -> None:
        self._consumer = new_consumer(group_of(generation))  # it is no member of the group

    def committed(self, partitions: Iterable[int]) -> Offsets:
        """Return the job's offset in each partition, negative for none."""
        found = self._consumer.committed(places_in(TRANSACTIONS, partitions), topics.TIMEOUT_S)
        return {place.partition: place.offset for place in found}

    def record_after(self, partition: int, offset: int) -> kafka.Message | None:
        """Return the first record from an offset on, or a message of the log's end."""
        self._consumer.assign(places_in(TRANSACTIONS, [partition], offset))
        found = self._consumer.poll(1)
        self._consumer.unassign()
        return found


class Progress:
    """The newest note, a time and the end of the log then, that the job has reached.

    The job commits an offset with each checkpoint, when the tiles of all records before it are in
    the topic `user_tiles`. A payment of an open transaction holds its partition for everybody, as
    it should: until its end nobody knows whether it counts.
    """

    def __init__(self, generation: int, clock_ms: Callable[[], int]) -> None:
        self._clock_ms, self._reached_ms = clock_ms, 0
        self._job, self._log = JobOffsets(generation), new_consumer("log", "read_uncommitted")
        self._admin, self._ids = topics.new_admin(), ""
        self._notes: deque[tuple[int, Offsets]] = deque(maxlen=300)
        self._counted: Offsets = {}

    def __call__(self) -> int:
        """Make a note; return the time of the newest note that was reached, 0 before the first.

        In milliseconds since 1970. Raises KafkaException; UserError for a topic that is another.
        """
        ids = topics.topic_ids(self._admin)
        self._ids = self._ids or ids
        if ids != self._ids:
            raise UserError("the topics were created again", "start the job again: it reads them")
        now_ms, ends = self._clock_ms(), end_offsets(self._log, TRANSACTIONS)
        self._notes.append((now_ms, ends))
        for partition, offset in self._job.committed(ends).items():
            self._counted[partition] = max(offset, self._counted.get(partition, 0))
        while self._notes and all(self._is_counted(*place) for place in self._notes[0][1].items()):
            self._reached_ms = self._notes.popleft()[0]
        return self._reached_ms

    def _is_counted(self, partition: int, end: int) -> bool:
        """Return whether each record before an offset is counted.

        No offset is committed past the marker that ends a transaction, nor for a partition whose
        records have expired: a gap without a record is counted.
        """
        counted = self._counted[partition]
        if counted < end and (found := self._job.record_after(partition, counted)):
            self._counted[partition] = counted = max(counted, found.offset() or 0)
        return counted >= end


def first_cause(trace: str) -> str:
    """Return the innermost cause of a Java stack trace, which is what went wrong first."""
    causes = re.findall(r"^(?:Caused by)?: (.+)", trace, re.MULTILINE)
    causes = causes or re.findall(r"failure cause:\s+(.+)", trace)
    return causes[-1] if causes else trace.partition("\n")[0]


class JobWatch:
    """Follow the job of a Flink client; print once a minute that it restarts, and why."""

    def __init__(self, job: Any) -> None:
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
        """Return the first cause of a failure since the job was restarted last."""
        log = "".join(log.read_text(errors="replace") for log in LOGS.glob("*.log"))
        return first_cause(log.rpartition(" from state RESTARTING to RUNNING")[2])
