"""Kafka: the event log of exercise 5. One node (KRaft), its jars by Maven from pom.xml."""

from lab.stack.kafka.broker import KafkaBroker, private_kafka

__all__ = ["KafkaBroker", "private_kafka"]
