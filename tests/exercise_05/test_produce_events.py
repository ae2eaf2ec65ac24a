"""The producer on a real broker: what it stores."""

import json
import subprocess
import sys
from datetime import datetime

import pytest

from exercise_05_streaming.produce_events import MALFORMED
from tests.exercise_05.pipeline import NewPipeline
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kafka

COMMAND = [sys.executable, "-m", "exercise_05_streaming.produce_events"]


def test_all_that_is_sent_is_stored_with_the_user_as_key(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    shares = ("--malformed", "0.1", "--late", "0.2", "--duplicates", "0.1")
    command = [*COMMAND, "--rate", "2000", "--count", "500", *shares]
    done = subprocess.run(
        command, env=pipeline.env(), capture_output=True, text=True, timeout=PATIENCE_S
    )
    messages = pipeline.events()
    assert (done.returncode, len(messages)) == (0, 500)
    assert "Sent 500 records" in done.stdout
    values = [(message.value() or b"").decode() for message in messages]
    right = [value for value in values if value not in MALFORMED]
    events = {value: json.loads(value)["event_time"] for value in right}
    assert len(events) < len(right) < 500, "some are repeated, and some malformed"
    late_by_ms = [
        message.timestamp()[1] - datetime.fromisoformat(events[value]).timestamp() * 1_000
        for message, value in zip(messages, values, strict=True)
        if value in events
    ]
    assert 20 < sum(late > 1_000 for late in late_by_ms) < 200
    partitions = {(message.key(), message.partition()) for message in messages}
    assert len(partitions) == len({key for key, _ in partitions}) > 4
