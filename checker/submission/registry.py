"""Reads a Feast registry without building a Feast object: a submission's objects may carry code."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.protobuf.message import DecodeError

from checker.sandbox import untrusted
from checker.verdict.outcome import SubmissionError

DUMMY_ENTITY = "__dummy"
LONGEST_S = 10.0
STEPS = 10_000  # of SQLite's machine, between two looks at the clock
# What odd rows and odd protobuf do to who reads them
UNREADABLE = (sqlite3.Error, DecodeError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Source:
    """The source of a view's rows, and the names of its columns there."""

    path: str
    event_time: str
    created: str
    column_of: dict[str, str]

    def column(self, name: str) -> str:
        """Return the file's column of a feature, key or time; a field mapping renames it."""
        return self.column_of.get(name, name)


@dataclass(frozen=True)
class View:
    """A stored feature view; `features` maps a name to Feast's type name, a TTL of zero is none."""

    name: str
    entities: tuple[str, ...]
    join_keys: tuple[str, ...]
    features: dict[str, str]
    ttl: timedelta
    online: bool
    source: Source


@dataclass(frozen=True)
class Service:
    """A feature service: for each view that it names, the features it takes."""

    name: str
    features: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Registry:
    """The objects that `feast apply` registered; on-demand views by their features only."""

    entities: dict[str, str]
    views: dict[str, View]
    on_demand: dict[str, tuple[str, ...]]
    services: dict[str, Service]


def read_registry(path: Path, folder: Path) -> Registry:
    """Parse a registry in `folder`: a file of Feast's protobuf, or the SQLite database of its sql.

    Raises SubmissionError when the file is missing or is neither.
    """
    if not path.is_file():
        raise SubmissionError(f"no registry at {path.name} after `feast apply`")
    content = untrusted.content(path, folder)
    is_sqlite = content.startswith(b"SQLite format 3")
    try:
        return _registry(_from_sqlite(path) if is_sqlite else _from_file(content))
    except UNREADABLE as error:
        raise SubmissionError(f"{path.name} is not a Feast registry: {error}") from error


Protos = dict[str, list[Any]]


def _from_file(content: bytes) -> Protos:
    from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto

    proto = RegistryProto.FromString(content)
    return {
        "entities": list(proto.entities),
        "feature_views": [*proto.feature_views, *proto.stream_feature_views],
        "on_demand_feature_views": list(proto.on_demand_feature_views),
        "feature_services": list(proto.feature_services),
    }


def _from_sqlite(path: Path) -> Protos:
    from feast.protos.feast.core.Entity_pb2 import Entity
    from feast.protos.feast.core.FeatureService_pb2 import FeatureService
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView
    from feast.protos.feast.core.OnDemandFeatureView_pb2 import OnDemandFeatureView
    from feast.protos.feast.core.StreamFeatureView_pb2 import StreamFeatureView

    def rows(table: str, column: str, parse: Callable[[bytes], Any]) -> list[Any]:
        query = f"SELECT {column} FROM {table} ORDER BY 1"
        return [parse(blob) for (blob,) in connection.execute(query)]

    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    # A table may be an endless view, and while SQLite computes no signal is handled.
    deadline = time.monotonic() + LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        return {
            "entities": rows("entities", "entity_proto", Entity.FromString),
            "feature_views": [
                *rows("feature_views", "feature_view_proto", FeatureView.FromString),
                *rows("stream_feature_views", "feature_view_proto", StreamFeatureView.FromString),
            ],
            "on_demand_feature_views": rows(
                "on_demand_feature_views", "feature_view_proto", OnDemandFeatureView.FromString
            ),
            "feature_services": rows(
                "feature_services", "feature_service_proto", FeatureService.FromString
            ),
        }
    finally:
        connection.close()


def _registry(protos: Protos) -> Registry:
    entities = {e.spec.name: e.spec.join_key for e in protos["entities"]}
    entities = {n: key for n, key in entities.items() if not n.startswith(DUMMY_ENTITY)}
    views = [_view(proto.spec, entities) for proto in protos["feature_views"]]
    services = [_service(proto.spec) for proto in protos["feature_services"]]
    return Registry(
        entities=entities,
        views={view.name: view for view in views},
        on_demand={
            proto.spec.name: tuple(f.name for f in proto.spec.features)
            for proto in protos["on_demand_feature_views"]
        },
        services={service.name: service for service in services},
    )


def _view(spec: Any, entities: dict[str, str]) -> View:
    names = tuple(name for name in spec.entities if not name.startswith(DUMMY_ENTITY))
    return View(
        name=spec.name,
        entities=names,
        join_keys=tuple(entities.get(name, name) for name in names),
        features={feature.name: _type_name(feature.value_type) for feature in spec.features},
        ttl=timedelta(seconds=spec.ttl.seconds, microseconds=spec.ttl.nanos // 1000),
        online=spec.online,
        source=_source(spec.batch_source),
    )


def _source(proto: Any) -> Source:
    if proto.HasField("batch_source"):  # a push source holds its history in another one
        return _source(proto.batch_source)
    return Source(
        path=proto.file_options.uri,
        event_time=proto.timestamp_field,
        created=proto.created_timestamp_column,
        column_of={feature: column for column, feature in proto.field_mapping.items()},
    )


def _service(spec: Any) -> Service:
    return Service(
        name=spec.name,
        features={
            projection.feature_view_name: tuple(_names(projection.feature_columns))
            for projection in spec.features
        },
    )


def _names(features: Iterable[Any]) -> Iterable[str]:
    return (feature.name for feature in features)


def _type_name(value_type: int) -> str:
    from feast.protos.feast.types.Value_pb2 import ValueType

    name: str = ValueType.Enum.Name(value_type)
    return name
