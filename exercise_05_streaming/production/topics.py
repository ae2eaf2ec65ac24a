"""Create the missing topics: `python -m exercise_05_streaming.production.topics`.

The log of transactions keeps everything, since it is the truth from which all else is recomputed.
The other two are compacted: the newest record of a key stands for it.
"""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from lab.errors import UserError, run_script
from lab.settings import settings

FOREVER = {"retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact"}


def bootstrap() -> str:
    """Where Kafka is, by the settings."""
    return settings.kafka_address


def create_topics(address: str | None = None) -> list[str]:
    """Create the source topic and those of the job; the names of those that were missing."""
    wanted = {settings.transactions_topic: FOREVER, **_outputs()}
    return _create(address or bootstrap(), wanted)


def create_outputs(address: str | None = None) -> list[str]:
    """Create only what the job writes to; the names of those that were missing."""
    return _create(address or bootstrap(), _outputs())


def _outputs() -> dict[str, Mapping[str, str]]:
    return {settings.tiles_topic: COMPACTED, settings.dead_letter_topic: COMPACTED}


def _create(address: str, wanted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Raises UserError when no broker answers in time."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    topics = [
        NewTopic(name, settings.topic_partitions, config=dict(config))
        for name, config in wanted.items()
    ]
    asked: dict[str, Any] = admin.create_topics(
        topics, operation_timeout=settings.kafka_timeout_s, request_timeout=settings.kafka_timeout_s
    )
    return [name for name, outcome in asked.items() if _is_new(outcome, address)]


def _is_new(outcome: Any, address: str) -> bool:
    try:
        outcome.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        reason = error.args[0].str()
        raise UserError(f"no topics at Kafka {address}: {reason}", "lab up kafka") from error
    return True


def main() -> None:
    created = create_topics()
    print(f"created at {bootstrap()}: {', '.join(created) or 'nothing, all are there'}")


if __name__ == "__main__":
    run_script(main)
