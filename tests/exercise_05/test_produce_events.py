"""The producer on a real broker: what it stores, a replay, and a broker that is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lab.stack.ports import free_port
from tests.exercise_05.pipeline import NewPipeline, Pipeline
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kafka

COMMAND = [sys.executable, "-m", "exercise_05_streaming.produce_events"]


def run(pipeline: Pipeline, *options: str, **changes: object) -> "subprocess.CompletedProcess[str]":
    env = pipeline.env(**changes)
    return subprocess.run(
        [*COMMAND, *options], env=env, capture_output=True, text=True, timeout=PATIENCE_S
    )


def test_all_that_is_sent_is_stored_with_the_user_as_key(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    done = run(pipeline, "--rate", "2000", "--count", "500", "--malformed", "0.1", "--late", "0.2")
    messages = pipeline.events()
    assert (done.returncode, len(messages)) == (0, 500)
    assert "Sent 500 records" in done.stdout
    partitions = {(message.key(), message.partition()) for message in messages}
    assert len(partitions) == len({key for key, _ in partitions}) > 4


def test_a_replay_sends_each_transaction_at_its_own_time(
    new_pipeline: NewPipeline, tmp_path: Path
) -> None:
    pipeline = new_pipeline()
    times = pd.date_range("2025-01-01", periods=50, freq="7h", tz="UTC", unit="us")
    raw = pd.DataFrame({"event_timestamp": times, "amount": 1.5, "is_approved": True})
    raw = raw.assign(user_id="user_1", merchant_id="merchant_0")
    raw["transaction_id"] = [f"txn_{number}" for number in range(50)]
    raw.to_parquet(tmp_path / "transactions.parquet")
    assert run(pipeline, "--replay", data_dir=tmp_path).returncode == 0
    stored = {
        json.loads(m.value() or b"")["transaction_id"]: m.timestamp()[1] for m in pipeline.events()
    }
    expected = dict(zip(raw["transaction_id"], times.as_unit("ms").asi8.tolist(), strict=True))
    assert stored == expected


def test_a_missing_broker_is_named(new_pipeline: NewPipeline) -> None:
    done = run(new_pipeline(), "--count", "1", kafka_port=free_port())
    assert done.returncode == 2
    assert "error: Kafka at 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
