"""The SQL of the job, with the settings filled in."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import ceil
from pathlib import Path
from string import Template
from typing import Literal

from exercise_05_streaming.production.topics import bootstrap
from lab.settings import settings

SQL = Path(__file__).parent.parent / "sql"
JOB = ("1_log", "2_accepted", "3_tiles", "4_dead_letters")
PLAIN_WINDOWS = ("plain_log", "2_accepted", "plain_windows")
MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
Until = Literal["unbounded", "latest-offset"]


def statements(*files: str, until: Until = "unbounded", **options: str) -> Iterator[str]:
    """The statements of the named files, in order.

    `until` says whether the log is followed, or read to where it ends now; `options` replace those
    that come from the settings.
    """
    values = {**_options(until), **options}
    for file in files:
        text = Template((SQL / f"{file}.sql").read_text()).safe_substitute(values)
        yield from (part.strip() for part in _without_comments(text).split(";") if part.strip())


def _options(until: Until) -> Mapping[str, str]:
    lateness = settings.allowed_lateness + settings.allowed_ahead
    return {
        "log": "transactions",
        "watermark_delay_m": str(ceil(lateness / timedelta(minutes=1))),
        "bootstrap": bootstrap(),
        "transactions_topic": settings.transactions_topic,
        "until": until,
        "allowed_lateness_ms": str(settings.allowed_lateness // MILLISECOND),
        "allowed_ahead_ms": str(settings.allowed_ahead // MILLISECOND),
        "allowed_ahead_s": str(settings.allowed_ahead // SECOND),
        "tiles_sink": _upserts(settings.tiles_topic),
        "dead_letters_sink": _upserts(settings.dead_letter_topic),
    }


def _upserts(topic: str) -> str:
    """A topic in which a record replaces the earlier ones of its key."""
    options = {
        "connector": "upsert-kafka",
        "topic": topic,
        "properties.bootstrap.servers": bootstrap(),
        "properties.linger.ms": "20",
        "properties.batch.size": "131072",
        "properties.compression.type": "lz4",
        "key.format": "json",
        "value.format": "json",
    }
    return ", ".join(f"'{name}' = '{value}'" for name, value in options.items())


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
