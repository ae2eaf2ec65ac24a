"""Flink: the engine of exercise 5. It comes with PyFlink; its Kafka connector comes by Maven."""

from lab.stack.flink.cluster import FlinkCluster, private_flink
from lab.stack.flink.connector import connector_jars
from lab.stack.flink.functions import function_jar

__all__ = ["FlinkCluster", "connector_jars", "function_jar", "private_flink"]
