"""Where the values of a feature are: read from the registry of the feature store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.feature_store import open_store


@dataclass(frozen=True)
class View:
    """A feature view's table: one row per entity and moment at which the values were so."""

    name: str
    key: str
    timestamp: str
    created: str
    file: Path
    features: tuple[str, ...]


def monitored_views() -> list[View]:
    """Every stored feature view with a table of one entity.

    Raises UserError when nothing has been applied yet.
    """
    views = []
    for view in open_store().list_feature_views():
        source = view.batch_source
        (key,) = view.join_keys
        features = tuple(field.name for field in view.features)
        views.append(
            View(
                view.name,
                key,
                source.timestamp_field,
                source.created_timestamp_column or source.timestamp_field,
                Path(source.path),
                features,
            )
        )
    return views


def views_of(features: Sequence[str]) -> list[View]:
    """The views that hold the named features, each with those only.

    Raises UserError for a feature that no view has.
    """
    views = monitored_views()
    known = [name for view in views for name in view.features]
    unknown = [name for name in features if name not in known]
    if unknown:
        raise UserError(
            f"no feature view has {', '.join(unknown)}", f"choose from: {', '.join(sorted(known))}"
        )
    asked = [
        View(**{**vars(view), "features": tuple(n for n in view.features if n in features)})
        for view in views
    ]
    return [view for view in asked if view.features]
