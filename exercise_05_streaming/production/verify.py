"""The solution's comparison with a recomputation, for a log with copies of transactions.

    python -m exercise_05_streaming.production.verify [TOPIC]

With a topic `replay_…`, a mirror or a replay of the log, the tiles of both are compared.
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any

import polars as pl
import redis
import typer
from confluent_kafka import TIMESTAMP_CREATE_TIME

from exercise_05_streaming import verify
from exercise_05_streaming.production.preflight import has_times_of_producers
from exercise_05_streaming.topics import TRANSACTIONS, TopicReader
from exercise_05_streaming.windows import FEATURES
from exercise_05_streaming.writer import VIEW
from feast_plugins.redis_encoding import decode_value, entity_key, feature_field
from lab.errors import UserError, run_script
from lab.feature_store import effective_config
from lab.settings import settings

REPLAY = "replay_"
DEPTH = 100  # and SURROGATE, half of a character's escape: as in ReadTransaction.java
SURROGATE = re.compile("[\ud800-\udfff]")


def events_in(record: bytes | None) -> list[Any]:
    """Return the texts of a record that is one object of UTF-8; numbers as written."""
    with suppress(ValueError, RecursionError):
        text = (record or b"").decode("utf-8-sig")
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=int)  # NaN: refused
        if isinstance(found, dict) and is_nested_at_most(DEPTH, found):
            return [{name: value for name, value in found.items() if is_text(value)}]
    return []


def is_nested_at_most(depth: int, value: object) -> bool:
    """Return whether a value has at most `depth` levels of objects and arrays."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(is_nested_at_most(depth - 1, each) for each in inner)


def is_text(value: object) -> bool:
    """Return whether a value is a bool or a text of whole characters."""
    return isinstance(value, bool) or (isinstance(value, str) and not SURROGATE.search(value))


def read_log() -> list[verify.Record]:
    """Return the records of the log whose times count."""
    refused = -1 if has_times_of_producers() else TIMESTAMP_CREATE_TIME
    stamped = ((r.value(), *r.timestamp()) for r in TopicReader(TRANSACTIONS).to_the_end())
    return [(value, ms) for value, clock, ms in stamped if clock != refused]


def accepted_events(log: Iterable[verify.Record]) -> pl.DataFrame:
    """Return the events of a log that count; of a user's events with one id, the first."""
    accepted = verify.accepted_events(log, events_in)
    has_no_id = pl.col("id").str.strip_chars() == ""
    return accepted.filter(has_no_id | pl.struct("user_id", "id").is_first_distinct())


def stored_features(users: list[str]) -> pl.DataFrame:
    """Read the features of users from Redis, which needs no registry: a row for each user."""
    project = effective_config()["project"]
    fields = [feature_field(VIEW, feature) for feature in FEATURES]
    pipe = redis.Redis(settings.host, settings.redis_port).pipeline(transaction=False)
    for user in users:
        pipe.hmget(entity_key(project, "user_id", user), fields)
    rows = [[decode_value(value) for value in values] for values in pipe.execute()]
    schema = {"user_id": pl.String, **dict.fromkeys(FEATURES, pl.Float64)}
    named = [[user, *values] for user, values in zip(users, rows, strict=True)]
    return pl.DataFrame(named, schema=schema, orient="row")


def differences(read: Callable[[list[str]], pl.DataFrame] = stored_features) -> list[str]:
    """Return the users whose stored features differ from the log, with both rows."""
    return verify.differences(lambda: accepted_events(read_log()), read)


def replay_differences(topic: str) -> list[str]:
    """Return the tiles that a replay and the log do not share, within the time of the replay."""
    if not topic.startswith(REPLAY):
        raise UserError(f"{topic} is no replay: its name begins with {REPLAY}")
    replay, log = (
        verify.recompute_tiles(accepted_events(records))
        for records in (verify.read_log(topic), read_log())
    )
    if replay.is_empty():
        raise UserError(f"{topic} has no event that counts")
    start, times = pl.col("tile_start"), replay["tile_start"]
    of_replay = set(replay.rows())
    of_log = set(log.filter(start.is_between(times.min(), times.max())).rows())
    return [f"{'replay' if t in of_replay else 'log   '} {t}" for t in sorted(of_replay ^ of_log)]


def main(topic: Annotated[str | None, typer.Argument()] = None) -> None:
    """Compare Redis with the log, or a replay's tiles with those of the log."""
    verify.report(differences if topic is None else lambda: replay_differences(topic))


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
