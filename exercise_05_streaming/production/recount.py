"""Recounts the log of transactions in one batch: the tiles, and everyone's features at a time."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from confluent_kafka import Message

from exercise_05_streaming.production.topic_reader import TopicReader
from exercise_05_streaming.production.windows import FEATURES, TILE
from lab.settings import settings

SQL = Path(__file__).with_suffix(".sql")
QUIET: dict[str, float | None] = {
    feature: None if feature.startswith(("avg", "max")) else 0 for feature in FEATURES
}
Features = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Recount:
    """`tiles` as windows.TILE, ordered; `features` by user and name; counts of what was sent."""

    tiles: pl.DataFrame
    features: Features
    produced: int
    accepted: int


def recount(log: pl.DataFrame, now_ms: int) -> Recount:
    """Recount a log as `read_log` gives it."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        said = pl.col("message").map_elements(as_json, return_dtype=pl.String)
        connection.register("log", log.with_columns(said).to_arrow())
        parameters = {
            "now_ms": now_ms,
            "lateness_ms": milliseconds(settings.allowed_lateness),
            "ahead_ms": milliseconds(settings.allowed_ahead),
            "gap_ms": milliseconds(settings.session_gap),
        }
        for statement in duckdb.extract_statements(SQL.read_text()):
            named = {name: parameters[name] for name in statement.named_parameters}
            connection.execute(statement, named)
        tiles = pl.from_arrow(connection.table("tiles").to_arrow_table())
        assert isinstance(tiles, pl.DataFrame)
        windows = pl.from_arrow(connection.table("windows").to_arrow_table())
        assert isinstance(windows, pl.DataFrame)
    accepted = int(tiles["transaction_count"].sum())
    users = tiles["user_id"].unique()
    return Recount(tiles.cast(TILE), by_user(users, windows), len(log), accepted)


def by_user(users: pl.Series, windows: pl.DataFrame) -> Features:
    """Every feature of every user, from a row per user and window that has events."""
    features = {user: dict(QUIET) for user in users}
    for row in windows.iter_rows(named=True):
        user, window = row.pop("user_id"), row.pop("window")
        features[user] |= {f"{what}_{window}": value for what, value in row.items()}
    return features


def read_log() -> pl.DataFrame:
    """The whole topic of transactions: partition, offset, record_ms, message."""
    with TopicReader(settings.transactions_topic) as topic:
        rows = [row_of(record) for records in topic.to_the_end() for record in records]
    schema = {
        "partition": pl.Int64,
        "offset": pl.Int64,
        "record_ms": pl.Int64,
        "message": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def row_of(record: Message) -> tuple[Any, ...]:
    """A record of the log; bytes that are no text stand as such, and are no JSON."""
    text = (record.value() or b"").decode(errors="replace")
    return record.partition(), record.offset(), record.timestamp()[1], text


def as_json(message: str) -> str:
    """An object's own fields, numbers as they are written; without any if it is none.

    Python's parser keeps to the standard: DuckDB's takes NaN, 01 and `[1,]`, and the first of two
    fields of one name.
    """
    try:
        said = json.loads(message, parse_int=str, parse_float=str, parse_constant=refuse)
    except (ValueError, RecursionError):
        return "{}"
    fields = said.items() if isinstance(said, dict) else ()
    return json.dumps({name: value for name, value in fields if not isinstance(value, dict | list)})


def refuse(constant: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(constant)


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
