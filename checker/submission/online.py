"""Reads what a submission wrote to Redis, by Feast's layout and without Feast's objects."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

import pandas as pd
import redis
from google.protobuf.message import DecodeError

from checker.submission.registry import View
from checker.verdict.outcome import SubmissionError
from feast_plugins.redis_encoding import (
    decode_time,
    decode_value,
    entity_key,
    feature_field,
    time_field,
)

EVENT_TIME = "event_timestamp"
NUMBERS = ("int32_val", "int64_val", "float_val", "double_val")
SHORTEST_LIFE_S = 3_000  # an hour, less what a check takes between the write and the look


def read_online(
    client: redis.Redis, project: str, version: int, view: View, entities: Sequence[str]
) -> pd.DataFrame:
    """One row per entity, in order: its features and event time; absent ones have no event time.

    `version` is the entity key's serialization version, 2 or 3. Raises SubmissionError where there
    is something else than what Feast writes.
    """
    names = list(view.features)
    fields = [time_field(view.name), *(feature_field(view.name, name) for name in names)]
    pipe = client.pipeline(transaction=False)
    for entity in entities:
        key = entity_key(project, view.join_keys[0], entity, version)
        pipe.execute_command("HMGET", key, *fields)
    rows: list[dict[str, Any]] = []
    try:
        for stored_time, *values in pipe.execute():
            row = {
                name: _as_declared(decode_value(value), view.features[name])
                for name, value in zip(names, values, strict=True)
            }
            rows.append({EVENT_TIME: decode_time(stored_time), **row})
    except (redis.ResponseError, DecodeError, OverflowError) as error:
        said = f"Redis does not hold {view.name} as Feast writes it: {error}"
        raise SubmissionError(said) from error
    return pd.DataFrame(rows, index=pd.Index(entities, name="entity"), columns=[EVENT_TIME, *names])


def key_lifetime(client: redis.Redis, project: str, version: int, view: View, entity: str) -> float:
    """Return the seconds after which Redis deletes an entity's hash, or infinity."""
    left = int(client.pttl(entity_key(project, view.join_keys[0], entity, version)))
    return left / 1_000 if left >= 0 else inf


def _as_declared(value: Any, kind: str) -> Any:
    """A value; a text where a number is declared is marked, for it would compare as the number."""
    return f"the text {value!r}" if isinstance(value, str) and kind != "STRING" else value


def expiring(
    client: redis.Redis, project: str, version: int, view: View, entities: Sequence[str]
) -> int:
    """Count the hashes of `entities` that expire before an hourly run writes them again."""
    pipe = client.pipeline(transaction=False)
    for entity in entities:
        pipe.ttl(entity_key(project, view.join_keys[0], entity, version))
    return sum(0 <= seconds < SHORTEST_LIFE_S for seconds in pipe.execute())


@contextmanager
def raised_by_one(
    client: redis.Redis,
    project: str,
    version: int,
    view: View,
    entities: Iterable[str],
    feature: str,
) -> Iterator[None]:
    """Let a stored number be one higher in the hashes of `entities`; as it was at the end."""
    field = feature_field(view.name, feature)
    keys = [entity_key(project, view.join_keys[0], entity, version) for entity in entities]
    found: dict[bytes, Any] = {key: client.hget(key, field) for key in keys}
    stored = {key: value for key, value in found.items() if value}
    for key, value in stored.items():
        client.hset(key, field, _one_more(value))
    try:
        yield
    finally:
        for key, value in stored.items():
            client.hset(key, field, value)


def _one_more(stored: bytes) -> bytes:
    from feast.protos.feast.types.Value_pb2 import Value

    value = Value.FromString(stored)
    kind = value.WhichOneof("val")
    if kind in NUMBERS:
        setattr(value, kind, getattr(value, kind) + 1)
    return bytes(value.SerializeToString())


def delete_entities(
    client: redis.Redis, project: str, version: int, view: View, entities: Sequence[str]
) -> None:
    """Remove the hashes of `entities`."""
    client.delete(*(entity_key(project, view.join_keys[0], e, version) for e in entities))
