"""Create the topics: `python -m exercise_05_streaming.topics`."""

from confluent_kafka import KafkaError, KafkaException
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


def create_topics() -> list[str]:
    """Create the missing topics and return their names."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    topics = [NewTopic(name, PARTITIONS, config=config) for name, config in TOPICS.items()]
    created = []
    futures = admin.create_topics(topics, operation_timeout=10, request_timeout=10)
    for name, future in futures.items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                problem = f"Kafka at {settings.kafka_address}: {error.args[0].str()}"
                raise UserError(problem, "lab up kafka") from error
    return created


if __name__ == "__main__":
    run_script(lambda: print(f"Created: {', '.join(create_topics()) or 'nothing'}"))
