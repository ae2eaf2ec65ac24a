"""Create the topics: `python -m exercise_05_streaming.topics`; `--alter` changes existing ones."""

import sys
from collections.abc import Mapping

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from lab.learn import UserError, run_script, settings

TRANSACTIONS, TILES = "transactions", "user_tiles"
PARTITIONS = 4
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
ALTER = "python -m exercise_05_streaming.topics --alter"


def create_topics(topics: Mapping[str, dict[str, str]] = TOPICS, alter: bool = False) -> None:
    """Create the topics that do not exist yet; report, or alter, options of those that do."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    new = [NewTopic(name, PARTITIONS, config=config) for name, config in topics.items()]
    created = admin.create_topics(new, operation_timeout=10, request_timeout=10)
    for name, future in created.items():
        failure = future.exception()
        if failure and failure.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            check_options(admin, name, topics[name], alter)
        elif failure:
            problem = f"Kafka at {settings.kafka_address}: {failure.args[0].str()}"
            raise UserError(problem, "lab up kafka") from failure


def check_options(admin: AdminClient, name: str, wanted: dict[str, str], alter: bool) -> None:
    """Report the options of an existing topic that differ, or alter them."""
    topic = ConfigResource(ConfigResource.Type.TOPIC, name)
    found = admin.describe_configs([topic], request_timeout=10)[topic].result()
    different = {o: found[o].value for o, value in wanted.items() if found[o].value != value}
    if different and not alter:
        options = ", ".join(f"{option}={value}" for option, value in different.items())
        risk = "producers' clocks may decide what is late, and records may stay or expire"
        print(f"Topic {name} exists with {options}: {risk}; next: {ALTER}", flush=True)
    elif different:
        for option in different:
            entry = ConfigEntry(option, wanted[option], incremental_operation=AlterConfigOpType.SET)
            topic.add_incremental_config(entry)
        admin.incremental_alter_configs([topic], request_timeout=10)[topic].result()


if __name__ == "__main__":
    run_script(lambda: create_topics(alter="--alter" in sys.argv))
