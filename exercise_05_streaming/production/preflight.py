"""Check the services before a start, and report topics with other options than `create_topics`."""

from collections.abc import Mapping

import redis
from confluent_kafka import TIMESTAMP_CREATE_TIME
from confluent_kafka.admin import ConfigResource

from exercise_05_streaming import topics
from exercise_05_streaming.production.redis_sink import time_ms
from exercise_05_streaming.progress import JobOffsets, clock_ms
from exercise_05_streaming.topics import TOPICS, TRANSACTIONS
from exercise_05_streaming.windows import LOOK_BACK_MS
from lab.settings import settings
from lab.stack.preflight import require_java


@topics.available_services()
def prepare_services() -> int:
    """Require Java, Kafka and Redis, create the topics, and return the time of Redis in ms."""
    require_java(needed_by="flink")
    wanted = TOPICS | {settings.dead_letter_topic: {"cleanup.policy": "compact"}}
    topics.create_topics(wanted)
    report_other_options(wanted)
    return time_ms(redis.Redis(settings.host, settings.redis_port))


def options_of(*names: str) -> dict[str, dict[str, str]]:
    """Return the options of topics. Raises KafkaException."""
    admin = topics.new_admin()
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    found = {}
    for resource, future in admin.describe_configs(resources).items():
        entries = future.result(settings.kafka_timeout_s).items()
        found[resource.name] = {name: entry.value for name, entry in entries}
    return found


def report_other_options(wanted: Mapping[str, dict[str, str]]) -> None:
    """Print a line for each topic with other options, and how to change them."""
    for topic, found in options_of(*wanted).items():
        if other := [name for name, value in wanted[topic].items() if found[name] != value]:
            has = ", ".join(f"{option}={found[option]}" for option in other)
            risk = "a producer's clock may decide what is late, or records expire"
            print(f"Topic {topic} has {has}: {risk}; next: kafka-configs.sh --alter")


def has_times_of_producers() -> bool:
    """Return whether records of the log have the times of their producers, and not Kafka's.

    New ones by the topic's option, or the oldest ones that a start of the job reads.
    """
    if options_of(TRANSACTIONS)[TRANSACTIONS]["message.timestamp.type"] == "CreateTime":
        return True
    log, starts = JobOffsets(0), topics.offsets_at(clock_ms() - LOOK_BACK_MS)
    oldest = [log.record_after(*place) for place in starts.items()]
    return any(r and not r.error() and r.timestamp()[0] == TIMESTAMP_CREATE_TIME for r in oldest)
