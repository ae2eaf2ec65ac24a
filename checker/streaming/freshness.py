"""Measure the delay from an event to its readable values, and the same without a job in between."""

import time
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from checker.streaming.events import FEATURES, Event, nonces, recount
from checker.streaming.stream import Stream
from checker.streaming.topic import QUIET
from checker.verdict.equality import equal_rows
from lab.settings import utc_now

EVERY_S = 0.75  # so that the events meet each phase of a job that works in batches
POLL_S = 0.05


def event_to_value(stream: Stream, count: int, limit_s: float) -> list[float]:
    """Seconds until the value of each of `count` new users is readable, sent one after the other.

    Infinity where it took longer than `limit_s`.
    """
    users = nonces(count)
    took: dict[str, float] = {}
    sent: dict[str, tuple[float, Event]] = {}
    began = time.monotonic()
    while time.monotonic() < began + count * EVERY_S + limit_s and len(took) < count:
        if len(sent) < count and time.monotonic() >= began + len(sent) * EVERY_S:
            number = len(sent)
            event = Event(users[number], utc_now(), number + 0.25, number % 2 > 0)
            sent[event.user] = (time.monotonic(), event)
            stream.send([event])
        waiting = [event for user, (_, event) in sent.items() if user not in took]
        for user in _readable(stream, waiting):
            took[user] = time.monotonic() - sent[user][0]
        stream.pause(POLL_S)
    return [took.get(user, np.inf) for user in users]


def _readable(stream: Stream, events: list[Event]) -> list[str]:
    """The users whose values are right."""
    if not events:
        return []
    expected = recount(events)
    right = equal_rows(expected, stream.values(list(expected.index)), list(FEATURES))
    return list(expected.index[right])


def bare_round_trip(stream: Stream) -> float:
    """Seconds of an event through Kafka and a value through Redis, with nothing in between."""
    topic = f"probe-{uuid4().hex}"
    address = {"bootstrap.servers": stream.broker.bootstrap, **QUIET}
    producer, client = Producer(address), stream.submission.sandbox.redis.client()
    reading = Consumer({**address, "group.id": topic})
    began = time.monotonic()
    try:
        producer.produce(topic, b"{}")
        producer.flush()
        reading.assign([TopicPartition(topic, 0, 0)])
        reading.poll(stream.config.streaming_fresh_s)
        client.set(topic, b"{}", ex=1)
        client.get(topic)
        return time.monotonic() - began
    finally:
        reading.close()
