"""The producer on a real broker: what is delivered, how it ends, and what it says."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from lab.stack.kafka import KafkaBroker, private_kafka
from lab.stack.ports import free_port
from tests.settings_in_force import variables
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka

PARTITIONS = 4
COMMAND = [sys.executable, "-m", "exercise_05_streaming.production.produce_events"]
DELIVERED = re.compile(r"([\d,]+) of ([\d,]+) events delivered")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with private_kafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def topic(broker: KafkaBroker) -> str:
    """A topic of its own for each test."""
    name = f"events-{uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS)])[name].result()
    return name


def started(port: int, *options: str, **changes: object) -> subprocess.Popen[str]:
    ours = os.environ | variables(kafka_port=port, **changes)
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *options], env=ours, stdout=pipe, stderr=pipe, text=True)


def run(port: int, *options: str, **changes: object) -> tuple[int, str]:
    """Exit status, and what was printed."""
    process = started(port, *options, **changes)
    said, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said + errors


def counts(said: str) -> tuple[int, int]:
    """How many of how many were delivered, by the last line."""
    found = DELIVERED.search(said)
    assert found is not None, said
    delivered, sent = (int(count.replace(",", "")) for count in found.groups())
    return delivered, sent


def stored(broker: KafkaBroker, topic: str) -> list[Message]:
    """All records of a topic, as they are now."""
    address = {"bootstrap.servers": broker.bootstrap, "group.id": topic}
    reader = Consumer({**address, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found, at_end = [], 0
    while at_end < PARTITIONS:
        message = reader.poll(PATIENCE_S)
        assert message is not None
        if message.error() is None:
            found.append(message)
        else:
            at_end += 1
    reader.close()
    return found


def test_all_that_is_sent_is_stored_a_users_events_in_one_partition(
    broker: KafkaBroker, topic: str
) -> None:
    options = ["--rate", "0", "--count", "3000", "--malformed", "0.05", "--duplicates", "0.1"]
    status, said = run(broker.port, *options, transactions_topic=topic)
    messages = stored(broker, topic)
    assert (status, counts(said)) == (0, (3_000, 3_000))
    assert len(messages) == 3_000
    places = {(message.key(), message.partition()) for message in messages}
    assert len(places) == len({key for key, _ in places}) > PARTITIONS
    assert {partition for _, partition in places} == set(range(PARTITIONS))


def test_control_c_ends_it_and_the_number_told_is_the_number_stored(
    broker: KafkaBroker, topic: str
) -> None:
    process = started(broker.port, "--rate", "500", transactions_topic=topic)
    eventually(lambda: len(stored(broker, topic)) > 100)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=PATIENCE_S)
    delivered, sent = counts(said)
    assert (process.returncode, errors) == (0, "")
    assert delivered == sent == len(stored(broker, topic))


def test_a_rate_is_kept(broker: KafkaBroker, topic: str) -> None:
    options = ["--rate", "50", "--count", "100"]
    began = time.monotonic()
    run(broker.port, *options, transactions_topic=topic)
    assert time.monotonic() - began > 99 / 50
    times = sorted(message.timestamp()[1] for message in stored(broker, topic))
    assert times[-1] - times[0] > 1_900


def test_a_replay_twice_has_every_transaction_twice_at_its_own_time(
    broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    times = pd.date_range("2025-01-01", periods=50, freq="7h", tz="UTC", unit="us")
    raw = pd.DataFrame(
        {
            "transaction_id": [f"txn_{number}" for number in range(50)],
            "user_id": [f"user_{number % 7}" for number in range(50)],
            "merchant_id": "merchant_0",
            "event_timestamp": times,
            "amount": 1.5,
            "is_approved": True,
        }
    )
    raw.to_parquet(tmp_path / "transactions.parquet")
    for _ in range(2):
        status, said = run(broker.port, "--replay", data_dir=tmp_path, transactions_topic=topic)
        assert (status, counts(said)) == (0, (50, 50))
    messages = stored(broker, topic)
    ids = [json.loads(message.value() or b"")["transaction_id"] for message in messages]
    assert sorted(ids) == sorted([*raw["transaction_id"], *raw["transaction_id"]])
    at = dict(zip(raw["transaction_id"], times, strict=True))
    for name, message in zip(ids, messages, strict=True):
        assert message.timestamp()[1] == at[name].timestamp() * 1_000


def test_without_the_topic_it_names_the_next_command(broker: KafkaBroker) -> None:
    status, said = run(broker.port, "--count", "1", transactions_topic="nowhere")
    assert status == 2
    assert "has no topic nowhere" in said
    assert "python -m exercise_05_streaming.production.topics" in said


def test_without_a_broker_it_gives_up_soon() -> None:
    status, said = run(free_port(), "--count", "1", kafka_timeout_s=2)
    assert status == 2
    assert "no Kafka broker answers" in said
    assert "Traceback" not in said


def test_a_broker_that_comes_back_misses_nothing_and_has_nothing_twice(tmp_path: Path) -> None:
    with private_kafka(tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("transactions", PARTITIONS)])["transactions"].result()
        process = started(broker.port, "--rate", "400", kafka_delivery_timeout_s=40)
        eventually(lambda: len(stored(broker, "transactions")) > 100)
        broker.stop()
        broker.start()
        before = len(stored(broker, "transactions"))
        eventually(lambda: len(stored(broker, "transactions")) > before + 100)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
        messages = stored(broker, "transactions")
    ids = [json.loads(message.value() or b"")["transaction_id"] for message in messages]
    delivered, sent = counts(said)
    assert delivered == sent == len(ids) == len(set(ids))


def test_a_broker_that_stays_away_is_told_with_the_number_delivered(tmp_path: Path) -> None:
    with private_kafka(tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("transactions", PARTITIONS)])["transactions"].result()
        process = started(broker.port, "--rate", "400", kafka_delivery_timeout_s=3)
        eventually(lambda: len(stored(broker, "transactions")) > 100)
        broker.stop()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert re.search(r"error: [\d,]+ of [\d,]+ events were delivered, then Kafka said", errors)
    assert "Traceback" not in errors
