"""Compile a feature service into a ReadPlan."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass, field
from typing import Any

from feast import FeatureView, OnDemandFeatureView, RepoConfig, ValueType
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values

from feast_plugins.feast_internals import stored_name
from feast_plugins.online_errors import UnreadableService
from feast_plugins.read_plan import REQUEST, Column, EntityRead, OnDemandCall, ReadPlan
from feast_plugins.redis_encoding import (
    KeyLayout,
    Kind,
    decoder,
    feature_field,
    time_field,
)
from feast_plugins.service_definition import ServiceDefinition, sources_of
from feast_plugins.stored_view import StoredFeature, ViewRead

EntityKey = tuple[tuple[str, Kind, str], ...]  # each join key, its type, the request's column


@dataclass(frozen=True)
class StoredView:
    """A view under its name in the service, and the features to read of it."""

    name: str
    view: FeatureView
    join_key_map: Mapping[str, str]
    features: Sequence[str]

    @property
    def entity(self) -> EntityKey:
        """The components of its Redis keys."""
        return tuple(
            (key.name, kind_of(self.name, key), self.join_key_map.get(key.name, key.name))
            for key in sorted(self.view.entity_columns, key=lambda key: key.name)
        )


def kind_of(view: str, column: Any) -> Kind:
    """Return the type of a Feast field; raises UnreadableService for one that the layout lacks."""
    declared = column.dtype.to_value_type()
    try:
        return Kind(declared.value)
    except ValueError as error:
        raise UnreadableService(
            f"{view}:{column.name} is of type {declared.name}, which cannot be read"
        ) from error


@dataclass(frozen=True)
class PlanCompiler:
    """Compiler of plans for one store; `defaults` are by the names of features in the answer."""

    config: RepoConfig
    defaults: Mapping[str, object] = field(default_factory=dict)
    full_feature_names: bool = False

    def compile(self, service: ServiceDefinition) -> ReadPlan:
        """Return the plan for reading a service.

        Raises UnreadableService for names that collide, a default of no feature, an unknown type.
        """
        views = _stored_views(service)
        stored = [(view.name, feature) for view in views for feature in view.features]
        self._check_defaults(service, stored)
        entities = tuple(
            self._entity_read(entity, [view for view in views if view.entity == entity])
            for entity in dict.fromkeys(view.entity for view in views)
        )
        needed = {name for entity in entities for name in entity.columns}
        for _, view in service.on_demand:
            needed.update(view.get_request_data_schema())
        columns = tuple(sorted(needed - {DUMMY_ENTITY_ID}))
        return ReadPlan(
            entities=entities,
            on_demand=tuple(_calls(service, columns, stored)),
            columns=columns,
            constants={DUMMY_ENTITY_ID: DUMMY_ENTITY_VAL} if DUMMY_ENTITY_ID in needed else {},
            outputs=self._outputs(service),
        )

    def _name(self, column: Column) -> str:
        return "__".join(column) if self.full_feature_names else column[1]

    def _outputs(self, service: ServiceDefinition) -> dict[str, Column]:
        columns = [(p.name_to_use(), f.name) for p in service.projections for f in p.features]
        names = Counter(self._name(column) for column in columns)
        if twice := sorted(name for name, times in names.items() if times > 1):
            raise UnreadableService(
                f"{service.name} has more than one {', '.join(twice)}: "
                f"read with full_feature_names, or give the views aliases"
            )
        return {self._name(column): column for column in columns}

    def _check_defaults(self, service: ServiceDefinition, stored: Iterable[Column]) -> None:
        unknown = set(self.defaults) - {self._name(column) for column in stored}
        if unknown:
            raise UnreadableService(
                f"defaults are given for {', '.join(sorted(unknown))}, "
                f"which {service.name} does not read from its store"
            )

    def _entity_read(self, entity: EntityKey, views: Sequence[StoredView]) -> EntityRead:
        config = self.config
        kinds = {join_key: kind for join_key, kind, _ in entity}
        places: dict[bytes, int] = {}
        reads = tuple(self._view_read(view, places) for view in views)
        return EntityRead(
            columns=tuple(column for _, _, column in entity),
            layout=KeyLayout(config.project, kinds, config.entity_key_serialization_version),
            fields=tuple(places),
            views=reads,
        )

    def _view_read(self, stored: StoredView, places: dict[bytes, int]) -> ViewRead:
        """Return the read of a view's fields, and add missing fields to `places`."""
        view, declared = stored.view, {column.name: column for column in stored.view.features}
        if absent := [name for name in stored.features if name not in declared]:
            raise UnreadableService(f"{view.name} has no feature {', '.join(absent)} any more")
        version = stored_name(view, self.config)
        return ViewRead(
            name=stored.name,
            time_place=places.setdefault(time_field(version), len(places)),
            ttl=view.ttl or None,
            features=tuple(
                StoredFeature(
                    name=name,
                    place=places.setdefault(feature_field(version, name), len(places)),
                    decode=decoder(kind_of(view.name, declared[name])),
                    default=self.defaults.get(self._name((stored.name, name))),
                )
                for name in stored.features
            ),
        )


def _stored_views(service: ServiceDefinition) -> list[StoredView]:
    """Return the stored views, those of one name merged into one, as Feast does."""
    projections: dict[str, list[Any]] = {}
    for projection in service.stored:
        projections.setdefault(projection.name_to_use(), []).append(projection)
    return [
        StoredView(
            name,
            service.views[same[0].name],
            same[0].join_key_map,
            list(dict.fromkeys(column.name for p in same for column in p.features)),
        )
        for name, same in projections.items()
    ]


# ---- On-demand views -------------------------------------------------------------------------


def _calls(
    service: ServiceDefinition, columns: Sequence[str], stored: Sequence[Column]
) -> Iterable[OnDemandCall]:
    for projection, view in service.on_demand:
        yield OnDemandCall(
            view=projection.name_to_use(),
            function=view.feature_transformation.udf,
            inputs=_inputs(view, columns, stored),
            outputs={f.name: finisher(f.dtype.to_value_type()) for f in projection.features},
        )


def _inputs(
    view: OnDemandFeatureView, columns: Sequence[str], stored: Sequence[Column]
) -> dict[str, Column]:
    """Return Feast's inputs: the request, and the declared views' features under two names."""
    declared = {source.name_to_use() for source in sources_of(view)}
    features = [column for column in stored if column[0] in declared]
    return {
        **{name: (REQUEST, name) for name in columns},
        **{column[1]: column for column in features},
        **{"__".join(column): column for column in features},
    }


_PLAIN: dict[ValueType, Callable[[Any], object]] = {
    ValueType.INT32: int,
    ValueType.INT64: int,
    ValueType.DOUBLE: float,
    ValueType.FLOAT: lambda number: c_float(number).value,
    ValueType.STRING: str,
    ValueType.BOOL: bool,
}


def finisher(declared: ValueType) -> Callable[[Sequence[Any]], list[object]]:
    """Return a function that converts computed values to the declared type, as Feast's SDK does."""
    if (plain := _PLAIN.get(declared)) is not None:
        return lambda values: [
            None if value is None or value != value else plain(value) for value in values
        ]
    return lambda values: [
        feast_value_type_to_python_type(proto, declared)
        for proto in python_values_to_proto_values(list(values), declared)
    ]
