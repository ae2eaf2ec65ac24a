"""Report when a topic exists with other options than those of `create_topics`."""

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, ConfigResource

from lab.settings import settings

RISK = "producers' clocks may decide what is late, and records may stay or expire"


def report_other_options(topics: Mapping[str, dict[str, str]]) -> None:
    """Print a line for each topic whose options differ, with the command that changes them."""
    for name, wanted in topics.items():
        found = options_of(name)
        if other := {option for option, value in wanted.items() if found[option] != value}:
            has = ", ".join(f"{option}={found[option]}" for option in sorted(other))
            change = ",".join(f"{option}=[{wanted[option]}]" for option in sorted(other))
            command = f"kafka-configs.sh --bootstrap-server {settings.kafka_address} --alter"
            arguments = f"--entity-type topics --entity-name {name} --add-config {change}"
            print(f"Topic {name} has {has}: {RISK}; next: {command} {arguments}", flush=True)


def options_of(topic: str) -> dict[str, str]:
    """Return the options of a topic."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    found = admin.describe_configs([resource])[resource].result(settings.kafka_timeout_s)
    return {name: entry.value for name, entry in found.items()}
