"""Chapter 1: the windows that Flink prints, against plain Python; then Ctrl-C."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from lab.settings import utc_now
from tests.exercise_05.payments import payment, record
from tests.exercise_05.pipeline import SOLUTION, Job, NewPipeline, Pipeline
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

SIZE, SLIDE, GAP = 4, 2, 3
OPTIONS = f"--windows --size {SIZE} --slide {SLIDE} --gap {GAP} --delay 20".split()
SECONDS = {"ann": (0, 1, 3, 9, 10), "bob": (2, 5, 9), "eve": (7,)}  # of events after a start
ROW = re.compile(r"(\w+) +([\d:]+)-([\d:]+) (\w+) +(\d+) payments, sum ([\d.]+), maximum ([\d.]+)")

Window = tuple[str, int, int, str]  # its kind, start, end and user
Row = tuple[int, float, float]


def windows_of(user: str, times: list[int]) -> Iterator[tuple[Window, list[int]]]:
    """Yield the windows of a user's events, each with the times of its events."""
    for kind, slide in (("TUMBLE", SIZE), ("HOP", SLIDE)):
        for start in range(min(times) // SIZE * SIZE - SIZE, max(times) + 1, slide):
            if inside := [time for time in times if start <= time < start + SIZE]:
                yield (kind, start, start + SIZE, user), inside
    sessions: list[list[int]] = []
    for time in times:
        if not sessions or time - sessions[-1][-1] > GAP:
            sessions.append([])
        sessions[-1].append(time)
    for session in sessions:
        yield ("SESSION", session[0], session[-1] + GAP, user), session


def printed(job: Job, start: int) -> dict[Window, Row]:
    """Return the rows of the users above; times after midnight count on."""
    day = start // 86_400 * 86_400
    rows = {}
    for kind, begin, end, user, count, total, highest in ROW.findall(job.output):
        at = [
            day + (datetime.strptime(text, "%H:%M:%S") - datetime(1900, 1, 1)) // timedelta(0, 1)
            for text in (begin, end)
        ]
        if user in SECONDS:
            rows[kind, *(t if t > start - 60 else t + 86_400 for t in at), user] = (
                int(count),
                float(total),
                float(highest),
            )
    return rows


@contextmanager
def other_payments(pipeline: Pipeline) -> Iterator[None]:
    """Send events of other users to every partition, so that the watermark goes on."""
    command = [sys.executable, "-m", "exercise_05_streaming.produce_events"]
    command += ["--rate", "20", "--malformed", "0.3"]  # some without a user
    producer = subprocess.Popen(command, env=pipeline.env())
    try:
        yield
    finally:
        producer.kill()
        producer.wait(PATIENCE_S)


def test_the_printed_windows_equal_a_recomputation(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    pipeline.command = SOLUTION
    with other_payments(pipeline), pipeline.job(*OPTIONS) as job:
        eventually(lambda: "TUMBLE" in job.output)
        start = int(utc_now().timestamp()) - 15
        amounts = {
            (user, start + offset): 10.25 + number
            for user, offsets in SECONDS.items()
            for number, offset in enumerate(offsets)
        }
        pipeline.send(
            record(payment(user, datetime.fromtimestamp(at, UTC), amount=amount), utc_now())
            for (user, at), amount in amounts.items()
        )
        expected: dict[Window, Row] = {}
        for user, offsets in SECONDS.items():
            for window, times in windows_of(user, [start + offset for offset in offsets]):
                values = [amounts[user, time] for time in times]
                expected[window] = (len(values), sum(values), max(values))
        eventually(lambda: len(printed(job, start)) >= len(expected))
        assert printed(job, start) == expected
        job.process.send_signal(signal.SIGINT)
        assert job.wait() == 0
    assert job.output.endswith("Stopped\n")
    assert "Traceback" not in job.output
