"""Flink: the engine of exercise 5. It comes with PyFlink; its Kafka connector comes by Maven."""

from lab.stack.flink.connector import connector_jars, flink_home

__all__ = ["connector_jars", "flink_home"]
