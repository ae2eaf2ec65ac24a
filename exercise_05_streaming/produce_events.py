"""Send payments to the topic `transactions` until Ctrl-C.

python -m exercise_05_streaming.produce_events --rate 100 --late 0.1 --malformed 0.01
python -m exercise_05_streaming.produce_events --users 1    # one partition: no window closes
python -m exercise_05_streaming.produce_events --replay     # the raw data, at its own times
"""

import json
import random
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow.parquet as pq
import typer
from confluent_kafka import Producer

from exercise_05_streaming.topics import TRANSACTIONS, create_topics
from lab.learn import UserError, run_script, settings

RAW = ["user_id", "merchant_id", "amount", "is_approved", "event_timestamp", "transaction_id"]
MALFORMED = ("not JSON", '{"user_id": "user_1", "amount": NaN}', '{"user_id": null}', "[]")
NOW = 0
Record = tuple[str, str, int]  # the user, the event, Kafka's time of the record in milliseconds


def generate_transaction_event(users: int = 100, late_by_s: float = 0) -> dict[str, Any]:
    """Return a payment of this moment, or of `late_by_s` before."""
    event_time = datetime.now(UTC) - timedelta(seconds=late_by_s)
    return {
        "user_id": f"user_{random.randint(1, users)}",
        "merchant_id": f"merchant_{random.randint(1, 50)}",
        "amount": random.randint(1_000, 100_000) / 100,
        "is_approved": random.random() > 0.05,
        "event_time": event_time.isoformat(timespec="milliseconds"),
        "transaction_id": f"{random.getrandbits(64):x}",
    }


def generate(rate: float, users: int, late: float, twice: float, bad: float) -> Iterator[Record]:
    """Yield `rate` payments a second; shares of them up to a minute late, repeated, malformed."""
    while True:
        time.sleep(1 / rate)
        late_by_s = random.uniform(0, 60) if random.random() < late else 0
        event = generate_transaction_event(users, late_by_s)
        value = json.dumps(event) if random.random() >= bad else random.choice(MALFORMED)
        yield from [(event["user_id"], value, NOW)] * (2 if random.random() < twice else 1)


def raw_transactions() -> Iterator[Record]:
    """Yield the raw transactions in the order of time, each record at the time of its event."""
    table = pq.read_table(settings.data_dir / "transactions.parquet", columns=RAW)
    for row in table.sort_by("event_timestamp").to_pylist():
        at = row.pop("event_timestamp")
        value = json.dumps({**row, "event_time": at.isoformat(timespec="milliseconds")})
        yield row["user_id"], value, int(at.timestamp() * 1_000)


def send(records: Iterable[Record]) -> int:
    """Send records, wait until Kafka has stored them, and return their number.

    The key is the user, so the events of a user stay in order, in one partition.
    """
    options = {"bootstrap.servers": settings.kafka_address, "enable.idempotence": True}
    producer = Producer(options | {"log_level": 3})  # errors only
    sent = 0
    try:
        for user, value, record_ms in records:
            producer.produce(TRANSACTIONS, value, user, timestamp=record_ms)
            producer.poll(0)
            sent += 1
    finally:
        if producer.flush(60):
            raise UserError(
                f"Kafka at {settings.kafka_address} did not store all events", "lab up kafka"
            )
    return sent


def main(
    rate: float = 10,
    users: int = 100,
    count: int | None = None,
    replay: bool = False,
    late: float = 0,
    duplicates: float = 0,
    malformed: float = 0,
) -> None:
    """Send generated payments, or the raw ones with --replay, until Ctrl-C."""
    create_topics()
    source = raw_transactions() if replay else generate(rate, users, late, duplicates, malformed)
    print(f"Sent {send(islice(source, count)):,} records to {TRANSACTIONS}")


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
