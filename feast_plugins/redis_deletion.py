"""Delete views and projects from Redis: all of their keys and fields, and none of others.

Feast's own store matches keys by the end of their names, so that tearing down the project `shop`
empties `coffee_shop` too, and leaves views without entities and precomputed vectors behind.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from feast import FeatureView, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID
from feast.protos.feast.core.PrecomputedFeatureVector_pb2 import PrecomputedFeatureVector

from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    decode_value,
    feature_field,
    join_keys_of,
    time_field,
)

KEYS_PER_ROUND_TRIP = 1_000
VECTOR = "__precomputed__"  # the view in which Feast stores the precomputed vector of a service
VECTOR_FIELD = "vector"
SPECIAL = re.compile(rb"([*?\[\]\\])")  # in a pattern of SCAN


def delete_project(client: Any, config: RepoConfig) -> None:
    """Delete every entity of a project."""
    for keys in _batches(_keys(client, config)):
        _at_once(client, [("DEL", key) for key in keys])


def delete_view(client: Any, config: RepoConfig, view: FeatureView) -> None:
    """Delete a view with all its versions; an entity that has no other view goes with it.

    Precomputed vectors with values of the view go too; Feast writes them again at its next run.
    """
    join_keys = tuple(sorted(view.join_keys)) or (DUMMY_ENTITY_ID,)
    features = [feature.name for feature in view.features]
    own = _own_names(view, config)
    for keys in _batches(_keys(client, config, join_keys)):
        stored = zip(keys, _at_once(client, [("HKEYS", key) for key in keys]), strict=True)
        hashes = {key: fields for key, fields in stored if own & _views(fields)}
        vectors = _vectors_of(client, hashes, view.name)
        deletions = [
            ("HDEL", key, *_deleted_fields(fields, own | vectors[key], [*features, VECTOR_FIELD]))
            for key, fields in hashes.items()
        ]
        _at_once(client, deletions)


def _own_names(view: FeatureView, config: RepoConfig) -> set[str]:
    """Return the names under which a view is stored: up to its current version."""
    has_versions = config.registry.enable_online_feature_view_versioning
    last = (view.current_version_number or 0) if has_versions else 0
    return {view.name, *(f"{view.name}_v{number}" for number in range(1, last + 1))}


def _views(fields: Iterable[bytes]) -> set[str]:
    """Return the names of the views in a hash, and of the precomputed vectors."""
    start = time_field("")
    return {name[len(start) :].decode() for name in fields if name.startswith(start)}


def _vectors_of(
    client: Any, hashes: Mapping[bytes, Iterable[bytes]], view: str
) -> dict[bytes, set[str]]:
    """Return the names of each hash's precomputed vectors that hold values of a view."""
    found = [(k, n) for k, fields in hashes.items() for n in _views(fields) if n.startswith(VECTOR)]
    contents = _at_once(client, [("HGET", k, feature_field(n, VECTOR_FIELD)) for k, n in found])
    vectors: dict[bytes, set[str]] = {key: set() for key in hashes}
    for (key, name), content in zip(found, contents, strict=True):
        stored = PrecomputedFeatureVector.FromString(decode_value(content) or b"")
        if any(f.startswith((f"{view}__", f"{view}@")) for f in stored.feature_names):
            vectors[key].add(name)
    return vectors


def _deleted_fields(
    fields: Sequence[bytes], gone: set[str], features: Sequence[str]
) -> Sequence[bytes]:
    """Return the fields of the views `gone`; all of a hash, which Redis then drops, if no other.

    Another view may be written meanwhile: its fields stay, as they are not named.
    """
    if all(name.startswith(VECTOR) for name in _views(fields) - gone):
        return fields
    own = [feature_field(name, feature) for name in sorted(gone) for feature in features]
    return [*map(time_field, sorted(gone)), *own]


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
