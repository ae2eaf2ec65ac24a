"""What must hold before the job starts; each check is bounded, and its error names what to do."""

import re
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from exercise_05_streaming.production.job.flink import JOB_NAME
from exercise_05_streaming.production.job.running import ENDED
from exercise_05_streaming.production.topics import bootstrap, create_outputs
from lab.errors import UserError
from lab.feature_store import connect_redis
from lab.settings import settings
from lab.stack.flink.cluster import ask
from lab.stack.preflight import require_java


def require_services() -> str:
    """Sees to Java, Kafka, its topics and Redis; the identity of the log that the job will read."""
    require_java(needed_by="flink")
    log_id = _log_id()
    create_outputs()
    connect_redis().close()
    return log_id


def require_cluster() -> None:
    """Raises UserError when no Flink cluster answers, or when it runs the job already."""
    address = settings.flink_rest_url
    found = ask(settings, "/jobs/overview")
    if found is None:
        raise UserError(f"no Flink cluster answers at {address}", "python -m lab.stack.flink")
    for job in found["jobs"]:
        if job["name"] == JOB_NAME and job["state"] not in ENDED:
            raise UserError(
                f"the cluster at {address} runs the job already, as {job['jid']}",
                f"curl -X PATCH {address}/jobs/{job['jid']}, which ends it; then the command again",
            )


def _log_id() -> str:
    """Cluster and topic by the ids that they got when they were created."""
    address, topic = bootstrap(), settings.transactions_topic
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        cluster = admin.list_topics(timeout=settings.kafka_timeout_s)
    except KafkaException as error:
        raise UserError(f"no Kafka broker answers at {address}", "lab up kafka") from error
    if topic not in cluster.topics:
        raise UserError(
            f"Kafka at {address} has no topic {topic}",
            "python -m exercise_05_streaming.production.topics",
        )
    asked: dict[str, Any] = admin.describe_topics(TopicCollection([topic]))
    found = asked[topic].result(settings.kafka_timeout_s)
    return re.sub(r"\W", "_", f"{cluster.cluster_id}-{found.topic_id}")  # it names a folder
