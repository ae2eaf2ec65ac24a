"""One measurement of the streaming pipeline, on the Kafka and Redis of the settings.

    python -m benchmarks.harness.stream_runs fill|blackhole|redis|plain|fresh|start N M

Prints one JSON value. A run is a process of its own, so that its settings are the environment's.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from redis import Redis

from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import (
    PARTITIONS,
    TILES,
    TOPICS,
    TRANSACTIONS,
    TopicReader,
    create_topics,
)
from exercise_05_streaming.windows import INTEGERS, TILE_S
from exercise_05_streaming.writer import VIEW, TileStore, Writer
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.feature_store import connect_redis, effective_config
from lab.settings import settings, utc_now

GROUPS = "flink-features-"  # and the generation
JOB = "exercise_05_streaming.production.job"
BLACKHOLE = "benchmarks.harness.blackhole_job"
PLAIN = "benchmarks.harness.plain_consumer"
BACKLOG_RATE = 1_000
PROBE_S, POLL_S = 0.25, 0.05
QUEUED = 50_000
TIMEOUT_S = 300
WARM_UP = 1 / 3  # of the backlog, while Java compiles what is used often
NEARLY = 0.8  # of the backlog: a query of all users takes too long


def fill(events: int, users: int) -> float:
    """Send a backlog of `events`, spaced as at 1,000 a second until now; return its rate.

    No late ones, duplicates or malformed ones: plain Python need not handle them.
    """
    random, begun = Random(settings.seed), time.monotonic()
    send_backlog(
        events, timedelta(seconds=events / BACKLOG_RATE), lambda _: random.randrange(users)
    )
    return events / (time.monotonic() - begun)


def blackhole(events: int, _: int) -> float:
    """Return events a second without sinks, between checkpoints; the last one comes late."""
    with running(BLACKHOLE):
        progress = [progress_after(events * WARM_UP)]
        while progress[-1][1] < events:
            wait_until(lambda: offsets_read() > progress[-1][1])
            progress.append((time.monotonic(), offsets_read()))
    (begun, read_before), (ended, read) = progress[0], progress[-2:][0]
    return max(read - read_before, 1) / max(ended - begun, POLL_S)


def redis(events: int, users: int) -> float:
    """Return events a second until Redis has everyone's features."""
    with running(JOB):
        begun, read = progress_after(events * WARM_UP)
        wait_until(lambda: offsets_read() > events * NEARLY)
        wait_until(lambda: events_in_redis(users) == events, every_s=1)
        return rate_since(begun, events - read)


def plain(events: int, users: int) -> float:
    """Return events a second of a plain consumer for each partition."""
    commands = [[sys.executable, "-m", PLAIN, str(n)] for n in range(PARTITIONS)]
    consumers = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    times = [json.loads(consumer.communicate(timeout=TIMEOUT_S)[0]) for consumer in consumers]
    assert events_in_redis(users) == events
    return events / (max(t["done"] for t in times) - min(t["begun"] for t in times))


def fresh(rate: int, seconds: int) -> list[float]:
    """Return seconds from sending a new user's event to reading it, repeatedly, under a load."""
    create_topics()
    load = [sys.executable, "-m", "exercise_05_streaming.produce_events"]
    with running(JOB), running_command([*load, "--rate", str(rate), "--users", "1000"]):
        wait_until(lambda: any(counts_of([f"user_{n}" for n in range(100)], "5m")))
        producer = new_producer()
        sent, readable = dict[str, float](), dict[str, float]()
        random, end = Random(settings.seed), time.monotonic() + seconds
        next_at = time.monotonic()
        while time.monotonic() < end or len(readable) < len(sent):
            if next_at <= time.monotonic() < end:
                sent[probe(producer)] = time.monotonic()
                next_at += random.expovariate(1 / PROBE_S)
            awaited = list(sent.keys() - readable.keys())
            for user, count in zip(awaited, counts_of(awaited, "1h"), strict=True):
                if count:
                    readable[user] = time.monotonic()
            time.sleep(POLL_S)
    return [readable[user] - sent[user] for user in sent]


def start(users: int, tiles: int) -> float:
    """Return seconds in which a writer reads `tiles` of each user, as far back as they go."""
    create_topics()
    producer, now_s = new_producer(), int(utc_now().timestamp()) // TILE_S * TILE_S
    generation = clock_ms()  # newer than that of any job before
    counts = dict.fromkeys(INTEGERS, 1) | {"generation": generation}
    for number in range(users * tiles):
        tile_start = now_s - number // users * TILE_S
        key = {"user_id": f"user_{number % users}", "tile_start": tile_start}
        while len(producer) > QUEUED:
            producer.poll(POLL_S)
        times = dict.fromkeys(("first_event", "last_event"), tile_start * 1_000)
        producer.produce(TILES, json.dumps(counts | key | times), json.dumps(key))
    assert producer.flush(TIMEOUT_S) == 0
    begun, store = time.monotonic(), TileStore()
    Writer(generation, store, lambda rows, now_ms: None, lambda: 0).follow(TopicReader(TILES))
    assert len(store.users()) >= users
    return time.monotonic() - begun


def probe(producer: Producer) -> str:
    """Send an event of a new user, and wait until Kafka has it; return the user."""
    now = utc_now()
    user = f"probe_{now.timestamp()}"
    send_event(producer, now, user_id=user, amount=1.0, is_approved=True)
    assert producer.flush(TIMEOUT_S) == 0
    return user


def send_backlog(events: int, span: timedelta, user_of: Callable[[int], int]) -> None:
    """Send events of `span` up to now; a record is as old as its event, not as Kafka's clock."""
    log = TOPICS[TRANSACTIONS] | {"message.timestamp.type": "CreateTime"}
    create_topics(TOPICS | {TRANSACTIONS: log})
    start, producer = utc_now() - span, new_producer()
    for number in range(events):
        send_event(
            producer,
            start + number * span / events,
            user_id=f"user_{user_of(number)}",
            merchant_id="merchant_0",
            amount=number % 10_000 / 100,
            is_approved=number % 20 > 0,
            transaction_id=f"transaction-{number}",
        )
    assert producer.flush(TIMEOUT_S) == 0


def send_event(producer: Producer, moment: datetime, **event: Any) -> None:
    """Hand an event over; its record has its time."""
    value = json.dumps(event | {"event_time": moment.isoformat(timespec="milliseconds")})
    while len(producer) > QUEUED:
        producer.poll(POLL_S)
    at_ms = int(moment.timestamp() * 1_000)
    producer.produce(TRANSACTIONS, value, event["user_id"], timestamp=at_ms)
    producer.poll(0)


def new_producer() -> Producer:
    """Return a producer that stores each event once."""
    address = {"bootstrap.servers": settings.kafka_address}
    return Producer(address | {"enable.idempotence": True, "linger.ms": 5})


def progress_after(events: float) -> tuple[float, int]:
    """Return the time of Flink's first checkpoint with more events, and the number of those."""
    wait_until(lambda: offsets_read() > events)
    return time.monotonic(), offsets_read()


def rate_since(begun: float, events: int) -> float:
    """Return events a second, of one at least: a small backlog ends before the first checkpoint."""
    return max(events, 1) / (time.monotonic() - begun)


def offsets_read() -> int:
    """Return the number of events that the job has read, at its last checkpoint."""
    topic, partitions = TRANSACTIONS, range(PARTITIONS)
    try:
        places = [TopicPartition(topic, number) for number in partitions]
        committed = [place for name in groups()[-1:] for place in group(name).committed(places)]
    except KafkaException:
        return 0  # Kafka is not yet ready for groups
    return sum(max(partition.offset, 0) for partition in committed)


def events_in_redis(users: int) -> int:
    """Return the events of a day in Redis, of all users."""
    return sum(counts_of([f"user_{number}" for number in range(users)], "24h"))


def counts_of(users: list[str], window: str) -> list[int]:
    """Return each user's number of events in Redis."""
    client, project = online()
    field = feature_field(VIEW, f"transaction_count_{window}")
    pipe = client.pipeline(transaction=False)
    for user in users:
        pipe.hget(entity_key(project, "user_id", user), field)
    return [int(decode_value(stored) or 0) if stored else 0 for stored in pipe.execute()]


def wait_until(condition: Callable[[], bool], every_s: float = POLL_S) -> None:
    """Wait for a condition, up to a timeout."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "too slow to measure"
        time.sleep(every_s)


@contextmanager
def running(module: str) -> Iterator[None]:
    """Run a job from the beginning of the log, and delete its offsets. Raises KafkaException."""
    with running_command([sys.executable, "-m", module]):
        yield
    for name in groups():
        admin().delete_consumer_groups([name])[name].result()


def groups() -> list[str]:
    """Return the groups of the jobs, the newest generation's last. Raises KafkaException."""
    found = admin().list_consumer_groups().result().valid
    return sorted(group.group_id for group in found if group.group_id.startswith(GROUPS))


@contextmanager
def running_command(command: list[str]) -> Iterator[None]:
    """Run a process for the duration of the block."""
    process = subprocess.Popen(command, stdout=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


@cache
def group(name: str) -> Consumer:
    """Return a consumer that reads the offsets of a job's group, without joining it."""
    return Consumer({"bootstrap.servers": settings.kafka_address, "group.id": name})


@cache
def admin() -> AdminClient:
    """Return an admin client of Kafka."""
    return AdminClient({"bootstrap.servers": settings.kafka_address})


@cache
def online() -> tuple[Redis, str]:
    """Return a client of Redis, and the project of its keys."""
    return connect_redis(), effective_config()["project"]


RUNS: dict[str, Callable[[int, int], object]] = {
    run.__name__: run for run in (fill, blackhole, redis, plain, fresh, start)
}


def main() -> None:
    what, first, second = sys.argv[1:]
    print(json.dumps(RUNS[what](int(first), int(second))))


if __name__ == "__main__":
    main()
