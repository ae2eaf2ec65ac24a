"""Read the options of topics, and report others than those of `create_topics`."""

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, ConfigResource

from exercise_05_streaming.topics import TRANSACTIONS
from lab.settings import settings


def options_of(*topics: str) -> dict[str, dict[str, str]]:
    """Return the options of topics. Raises KafkaException."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
    found = {}
    for resource, future in admin.describe_configs(resources).items():
        entries = future.result(settings.kafka_timeout_s).items()
        found[resource.name] = {name: entry.value for name, entry in entries}
    return found


def report_other_options(topics: Mapping[str, dict[str, str]]) -> None:
    """Print a line for each topic with other options, and how to change them."""
    for topic, found in options_of(*topics).items():
        wanted = topics[topic]
        if other := [option for option in wanted if found[option] != wanted[option]]:
            has = ", ".join(f"{option}={found[option]}" for option in other)
            risk = "a producer's clock may decide what is late, or records expire"
            print(f"Topic {topic} has {has}: {risk}; next: kafka-configs.sh --alter")


def has_times_of_producers() -> bool:
    """Return whether a record of the log has the time of its producer, and not Kafka's."""
    return options_of(TRANSACTIONS)[TRANSACTIONS]["message.timestamp.type"] == "CreateTime"
