"""Delete views and projects from Redis: all of their keys and fields, and none of others.

Feast's own store matches keys by the end of their names, so that tearing down the project `shop`
empties `coffee_shop` too, and leaves views without entities and precomputed vectors behind.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from feast import FeatureView, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID

from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    feature_field,
    join_keys_of,
    time_field,
)

KEYS_PER_ROUND_TRIP = 1_000
VECTOR = "__precomputed__"  # the view in which Feast stores the precomputed vector of a service
SPECIAL = re.compile(rb"([*?\[\]\\])")  # in a pattern of SCAN


def delete_project(client: Any, config: RepoConfig) -> None:
    """Delete every entity of a project."""
    for keys in _batches(_keys(client, config)):
        _at_once(client, [("DEL", key) for key in keys])


def delete_view(client: Any, config: RepoConfig, view: FeatureView) -> None:
    """Delete a view with all its versions; an entity that has no other view goes with it."""
    join_keys = tuple(sorted(view.join_keys)) or (DUMMY_ENTITY_ID,)
    features = [feature.name for feature in view.features]
    is_own = _is_own(view.name, config)
    for keys in _batches(_keys(client, config, join_keys)):
        stored = _at_once(client, [("HKEYS", key) for key in keys])
        pairs = zip(keys, stored, strict=True)
        commands = [_deletion(key, fields, features, is_own) for key, fields in pairs]
        _at_once(client, [command for command in commands if command])


def _is_own(view: str, config: RepoConfig) -> Callable[[str], bool]:
    """Return a test for the names under which a view is stored."""
    if not config.registry.enable_online_feature_view_versioning:
        return lambda name: name == view
    pattern = re.compile(rf"{re.escape(view)}(_v\d+)?")
    return lambda name: pattern.fullmatch(name) is not None


def _deletion(
    key: bytes, fields: Iterable[bytes], features: Sequence[str], is_own: Callable[[str], bool]
) -> tuple[Any, ...] | None:
    """Return the command that deletes a view from one entity's hash, if it is there.

    Precomputed vectors hold values of the view; Feast writes them again at its next run.
    """
    start = time_field("")
    views = [name[len(start) :].decode() for name in fields if name.startswith(start)]
    own = [name for name in views if is_own(name)]
    vectors = [name for name in views if name.startswith(VECTOR)]
    if not own:
        return None
    if len(own) + len(vectors) == len(views):
        return "DEL", key
    gone = [time_field(name) for name in (*own, *vectors)]
    gone += [feature_field(name, feature) for name in own for feature in features]
    gone += [feature_field(name, "vector") for name in vectors]
    return "HDEL", key, *gone


def _keys(
    client: Any, config: RepoConfig, join_keys: tuple[str, ...] | None = None
) -> Iterator[bytes]:
    """Yield the Redis keys of a project, those of some join keys only if they are given."""
    version = config.entity_key_serialization_version
    layout = KeyLayout(config.project, dict.fromkeys(join_keys or (), Kind.STRING), version)
    head = b"" if join_keys is None else layout.head
    pattern = _escaped(head) + b"*" + _escaped(config.project.encode())
    for key in client.scan_iter(pattern, count=KEYS_PER_ROUND_TRIP):
        if version < 3 and join_keys is not None:  # such a key does not show where its parts end
            yield key
            continue
        found = join_keys_of(key, config.project)
        if found is not None and join_keys in (None, found):
            yield key


def _batches(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(keys, KEYS_PER_ROUND_TRIP)):
        yield batch


def _escaped(text: bytes) -> bytes:
    return SPECIAL.sub(rb"\\\1", text)


def _at_once(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Send commands in one round trip and return their replies."""
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute()
    return replies
