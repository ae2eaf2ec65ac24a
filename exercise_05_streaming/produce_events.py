"""Send payments to the topic `transactions` until Ctrl-C.

python -m exercise_05_streaming.produce_events --rate 100 --late 0.1 --malformed 0.01
python -m exercise_05_streaming.produce_events --users 1    # one partition: no window closes
"""

import json
import random
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import typer
from confluent_kafka import Producer

from exercise_05_streaming.topics import TRANSACTIONS, create_topics
from lab.learn import UserError, run_script, settings

MALFORMED = ("not JSON", '{"user_id": "user_1", "amount": NaN}', '{"user_id": null}', "[]")
BATCH = 10_000  # the producer's queue holds 100,000
Record = tuple[str, str]  # the user and the event


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
        yield from [(event["user_id"], value)] * (2 if random.random() < twice else 1)


def send(records: Iterable[Record]) -> int:
    """Send records, wait until Kafka has stored them, and return their number.

    The key is the user, so the events of a user stay in order, in one partition.
    """
    options = {"bootstrap.servers": settings.kafka_address, "enable.idempotence": True}
    producer, sent = Producer(options | {"log_level": 3}), 0  # logs errors only
    for sent, (user, value) in enumerate(records, start=1):
        producer.produce(TRANSACTIONS, value, user)
        if sent % BATCH == 0:
            producer.flush()
    if producer.flush(60):
        raise UserError(f"Kafka at {settings.kafka_address} did not store all", "lab up kafka")
    return sent


def main(
    rate: float = 10,
    users: int = 100,
    count: int | None = None,
    late: float = 0,
    duplicates: float = 0,
    malformed: float = 0,
) -> None:
    """Send payments until Ctrl-C, or `count` of them."""
    create_topics()
    records = generate(rate, users, late, duplicates, malformed)
    print(f"Sent {send(islice(records, count)):,} records to {TRANSACTIONS}")


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
