"""Create the topics: `python -m exercise_05_streaming.topics`."""

from collections.abc import Mapping

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewTopic

from lab.learn import UserError, run_script, settings

TRANSACTIONS, TILES = "transactions", "user_tiles"
PARTITIONS = 4
TOPICS = {
    # The log: every feature is recomputed from it, so nothing expires. Flink's connector cannot
    # read zstd: the broker stores the batches of any producer as gzip, which every client reads.
    TRANSACTIONS: {"retention.ms": "-1", "compression.type": "gzip"},
    # Only the newest record of a key counts, for three days. By default a segment stays open for a
    # week, and nothing in an open segment is compacted.
    TILES: {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(3 * 86_400_000),
        "segment.ms": str(3_600_000),
    },
}


def create_topics(topics: Mapping[str, dict[str, str]] = TOPICS) -> None:
    """Create the topics that do not exist yet."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    new = [NewTopic(name, PARTITIONS, config=config) for name, config in topics.items()]
    for future in admin.create_topics(new, operation_timeout=10, request_timeout=10).values():
        failure = future.exception()
        if failure and failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            problem = f"Kafka at {settings.kafka_address}: {failure.args[0].str()}"
            raise UserError(problem, "lab up kafka") from failure


if __name__ == "__main__":
    run_script(create_topics)
