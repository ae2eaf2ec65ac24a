"""Create the topics: `python -m exercise_05_streaming.topics`."""

import time
from collections.abc import Mapping, Set

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from lab.learn import UserError, run_script, settings

TRANSACTIONS, TILES = "transactions", "user_tiles"
PARTITIONS, TIMEOUT_S = 4, 10
# What an event's texts may be: ISO 8601 in UTC, with or without a zone, and an amount under ten
# billion. The exponent is limited, because a cast of 1e300000000 takes minutes.
EVENT_TIME = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}([.][0-9]{1,9})?)(Z|[+]00:00)?\z"
AMOUNT = r"^[0-9]{1,18}([.][0-9]{0,40})?([eE][+-]?[0-9]{1,2})?\z"
TOPICS = {
    TRANSACTIONS: {
        # The log: every feature is recomputed from it, so nothing expires.
        "retention.ms": "-1",
        # A record's time, by which an event is late, is Kafka's. By default it is the producer's.
        # Old events with record times of their own, a replay or a mirror of a log, go into a topic
        # `replay_…` of type CreateTime. They can be compared, and no feature is served from them.
        "message.timestamp.type": "LogAppendTime",
    },
    TILES: {
        # Only the newest record of a key counts, and a tile is deleted once no window needs it.
        "cleanup.policy": "compact,delete",
        # The longest window of 25 h, 15 minutes of lateness, and a writer that is down for 46 h.
        "retention.ms": str(3 * 86_400_000),
        # Nothing in an open segment is compacted or deleted; by default it is open for a week.
        "segment.ms": str(3_600_000),
        # By default a segment is compacted when half of the log is new, however long that takes.
        "max.compaction.lag.ms": str(2 * 3_600_000),
    },
}


def create_topics(topics: Mapping[str, dict[str, str]] = TOPICS) -> None:
    """Create the topics that do not exist yet; return when the broker knows all of them."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    new = [NewTopic(name, PARTITIONS, config=config) for name, config in topics.items()]
    try:
        for future in admin.create_topics(new, request_timeout=TIMEOUT_S).values():
            failure = future.exception()
            if failure and failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise failure
        wait_for_topics(admin, topics.keys())
    except KafkaException as error:
        problem = f"Kafka at {settings.kafka_address}: {error.args[0].str()}"
        raise UserError(problem, "lab up kafka") from error


def wait_for_topics(admin: AdminClient, topics: Set[str]) -> None:
    """Wait until each partition has a leader, which takes some milliseconds after the creation."""
    deadline = time.monotonic() + TIMEOUT_S
    while missing := topics - known_topics(admin):
        if time.monotonic() > deadline:
            raise UserError(f"Kafka at {settings.kafka_address} does not serve {missing}")
        time.sleep(0.05)


def known_topics(admin: AdminClient) -> set[str]:
    """Return the topics whose partitions all have a leader. Raises KafkaException."""
    found = admin.list_topics(timeout=TIMEOUT_S).topics
    partitions = {name: topic.partitions.values() for name, topic in found.items()}
    return {name for name, each in partitions.items() if each and not any(p.error for p in each)}


if __name__ == "__main__":
    run_script(create_topics)
