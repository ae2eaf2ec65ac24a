"""One feature view's part in a point-in-time join: what is asked of it, and what it answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from feast import FeatureView, RepoConfig

from feast_plugins.asof_join import Timeline, join, timeline
from feast_plugins.entity_rows import EntityRows, EntityRowsError
from feast_plugins.feature_source import (
    arrow_type,
    check_source,
    read_source,
    same_kind,
    source_columns,
)


@dataclass(frozen=True)
class ViewJoin:
    """A view's timeline; the entity column of each join key; each feature's output name, type."""

    timeline: Timeline
    entity_column: dict[str, str]
    output_name: dict[str, str]
    declared: dict[str, pa.DataType]

    def features_of(
        self, entities: pl.DataFrame, moments: pl.DataFrame
    ) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """The view's features by their output names, in the declared types and in order.

        `moments` is what asof_join's `in_order` made of the entity rows.
        """
        keys = [pl.col(column).alias(key) for key, column in self.entity_column.items()]
        answers = join(entities.select(keys), moments, self.timeline)
        columns = answers.to_arrow(compat_level=pl.CompatLevel.oldest())
        for feature, name in self.output_name.items():
            yield name, columns[feature].cast(self.declared[feature])


def view_join(
    view: FeatureView,
    feature_refs: Sequence[str],
    entities: EntityRows,
    config: RepoConfig,
    *,
    full_feature_names: bool,
    known_only: bool,
) -> ViewJoin:
    """Check a view against its source and the entity rows, then read and order its rows.

    Raises SourceError and EntityRowsError.
    """
    features = _requested(view, feature_refs)
    prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
    output_name = {feature: f"{prefix}{feature}" for feature in features}
    renamed = view.projection.join_key_map
    entity_column = {k: renamed.get(k, k) for k in view.join_keys if k in source_columns(view)}
    _check_entities(view, entity_column, list(output_name.values()), entities, config)
    rows = read_source(view, features, config)
    return ViewJoin(
        timeline(rows, list(entity_column), view.ttl, known_only=known_only),
        entity_column,
        output_name,
        {field.name: arrow_type(field.dtype) for field in view.features},
    )


def _requested(view: FeatureView, feature_refs: Sequence[str]) -> list[str]:
    prefix = f"{view.projection.name_to_use()}:"
    return [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]


def _check_entities(
    view: FeatureView,
    entity_column: dict[str, str],
    outputs: Sequence[str],
    entities: EntityRows,
    config: RepoConfig,
) -> None:
    source, columns = check_source(view, config), source_columns(view)
    for key, column in entity_column.items():
        if column not in entities.names:
            raise EntityRowsError(
                f"{view.name}: the entity rows have no column {column}, by which it is joined"
            )
        asked, found = entities.schema([column]).field(0).type, source.field(columns[key]).type
        if not same_kind(asked, found):
            raise EntityRowsError(
                f"{view.name}: {column} of the entity rows is {asked}, "
                f"{columns[key]} of {view.batch_source.path} is {found}"
            )
    for name in outputs:
        if name in entities.names:
            raise EntityRowsError(
                f"{view.name}: the entity rows have a column {name} already, like the feature; "
                "drop it, or ask for full_feature_names"
            )
