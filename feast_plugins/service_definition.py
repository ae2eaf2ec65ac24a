"""The definition of one feature service in a Feast registry, checked for online reads."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from feast import FeatureService, FeatureStore, FeatureView, OnDemandFeatureView, RepoConfig
from feast.errors import FeastObjectNotFoundException
from feast.feature_view_projection import FeatureViewProjection
from feast.infra.registry.base_registry import BaseRegistry

from feast_plugins.online_errors import RegistryUnavailable, UnknownService, UnreadableService

AnyView: TypeAlias = FeatureView | OnDemandFeatureView


@dataclass(frozen=True)
class ServiceDefinition:
    """A service's projections, and every view they need; equal ones have equal fingerprints."""

    name: str
    projections: Sequence[FeatureViewProjection]
    views: Mapping[str, AnyView]
    fingerprint: bytes

    @property
    def on_demand(self) -> list[tuple[FeatureViewProjection, OnDemandFeatureView]]:
        """Return the on-demand views."""
        pairs = [(projection, self.views[projection.name]) for projection in self.projections]
        return [(projection, view) for projection, view in pairs if _is_on_demand(view)]

    @property
    def stored(self) -> list[FeatureViewProjection]:
        """Return the projections of stored views; the service's own first, then on-demand ones."""
        own = [p for p in self.projections if not _is_on_demand(self.views[p.name])]
        return [*own, *(source for _, view in self.on_demand for source in sources_of(view))]


def _is_on_demand(view: AnyView) -> bool:
    return isinstance(view, OnDemandFeatureView)


def sources_of(view: OnDemandFeatureView) -> list[FeatureViewProjection]:
    """Return the projections of the stored views that an on-demand view reads."""
    return list(view.source_feature_view_projections.values())


def open_registry(config: RepoConfig) -> BaseRegistry:
    """Open the registry of a repository; raises RegistryUnavailable."""
    folder = str(config.repo_path) if config.repo_path else None
    try:
        return FeatureStore(repo_path=folder, config=config).registry
    except Exception as error:
        raise RegistryUnavailable(
            f"the registry of {config.project} cannot be read: {error}"
        ) from error


def load_service(
    registry: BaseRegistry, project: str, name: str, only: Collection[str] | None = None
) -> ServiceDefinition:
    """Read a service, or only some of its views, from the registry itself, not from its cache.

    Raises UnknownService, RegistryUnavailable, UnreadableService.
    """
    try:
        service = registry.get_feature_service(name, project, allow_cache=False)
        projections = _chosen(service, only)
        views = {view.name: view for view in _views(registry, project, projections)}
    except UnreadableService:
        raise
    except FeastObjectNotFoundException as error:
        raise UnknownService(
            f"project {project} cannot serve {name!r}: {error}; was it applied?"
        ) from error
    except Exception as error:
        raise RegistryUnavailable(f"the registry of {project} cannot be read: {error}") from error
    specs = [service.to_proto().spec, *(_spec(view) for view in views.values())]
    fingerprint = b"".join(spec.SerializeToString(deterministic=True) for spec in specs)
    definition = ServiceDefinition(name, projections, views, fingerprint)
    _check(definition)
    return definition


def _chosen(
    service: FeatureService, only: Collection[str] | None
) -> Sequence[FeatureViewProjection]:
    """Return the service's projections, or those of the views in `only`, by the service's names."""
    projections: Sequence[FeatureViewProjection] = service.feature_view_projections
    if only is None:
        return projections
    if unknown := set(only) - {projection.name_to_use() for projection in projections}:
        raise UnreadableService(f"{service.name} has no view {', '.join(sorted(unknown))}")
    return [projection for projection in projections if projection.name_to_use() in only]


def _views(
    registry: BaseRegistry, project: str, projections: Sequence[FeatureViewProjection]
) -> Iterator[AnyView]:
    for projection in projections:
        view = registry.get_any_feature_view(projection.name, project, allow_cache=False)
        yield view
        if _is_on_demand(view):
            yield from _views(registry, project, sources_of(view))


def _spec(view: AnyView) -> Any:
    spec = view.to_proto().spec
    if _is_on_demand(view):
        for source in spec.sources.values():
            source.request_data_source.ClearField("meta")  # the time of this very reading
    return spec


def _check(service: ServiceDefinition) -> None:
    """Raise UnreadableService for a service that the reader would read wrongly, or not at all."""
    for projection in (*service.projections, *service.stored):
        if projection.version_tag is not None:
            raise UnreadableService(
                f"{service.name} requires version {projection.version_tag} of {projection.name}: "
                f"only the newest version of a view can be read"
            )
        if not service.views[projection.name].enabled:
            raise UnreadableService(f"{service.name} needs {projection.name}, which is disabled")
    for _, view in service.on_demand:
        if problem := _problem(view):
            raise UnreadableService(f"{service.name} needs on-demand view {view.name}: {problem}")


def _problem(view: OnDemandFeatureView) -> str | None:
    if view.mode != "python":
        return f"its mode is {view.mode}, and only mode 'python' can be called"
    if view.singleton:
        return "it is a singleton, which computes one row only; let it take lists"
    if view.aggregations:
        return "it aggregates rows, which is not done online"
    if view.write_to_online_store:
        return "it is written to the online store; make it an ordinary view"
    return None
