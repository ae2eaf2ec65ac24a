"""Report topics that exist with other options than those of `create_topics`."""

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, ConfigResource

from lab.settings import settings


def report_other_options(topics: Mapping[str, dict[str, str]]) -> None:
    """Print a line for each topic with other options, and how to change them."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
    for resource, future in admin.describe_configs(resources).items():
        found, wanted = future.result(settings.kafka_timeout_s), topics[resource.name]
        if other := [option for option in wanted if found[option].value != wanted[option]]:
            has = ", ".join(f"{option}={found[option].value}" for option in other)
            risk = "a producer's clock may decide what is late, or records expire"
            print(f"Topic {resource.name} has {has}: {risk}; next: kafka-configs.sh --alter")
