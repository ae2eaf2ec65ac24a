"""Kafka's jars."""

from pathlib import Path

from lab.settings import Settings
from lab.stack.maven import fetch_jars

POM = Path(__file__).with_name("pom.xml")


def fetch(config: Settings) -> Path:
    """Return the folder of the jars that pom.xml names. Needs Maven if they are not there yet."""
    return fetch_jars(
        POM, config.kafka_jars_dir, needed_by="kafka", timeout_s=config.download_timeout_s
    )
