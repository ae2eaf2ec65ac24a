"""One feature view's part in a point-in-time join: its inputs and its features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import pyarrow as pa
from feast import FeatureView, RepoConfig

from feast_plugins.asof_join import TIME, Timeline, best_rows, in_order, join, timeline
from feast_plugins.entity_rows import EVENT_TIME, EntityRows, EntityRowsError
from feast_plugins.feature_source import CheckedSource, check_source, source_columns
from feast_plugins.source_reader import read_source
from feast_plugins.source_types import PolarsType, convert, polars_type, promoted_key, same_key_kind


@dataclass(frozen=True)
class ViewJoin:
    """A view's timeline; the entity column of each join key; each feature's output name, type."""

    view: str
    timeline: Timeline
    entity_column: dict[str, str]
    output_name: dict[str, str]
    types: dict[str, pa.DataType]

    def entities_at(self, moment: datetime) -> pl.DataFrame:
        """Return the entity columns of every entity that has features at a moment."""
        keys = self.timeline.moments.select(self.timeline.keys).unique(maintain_order=True)
        naive = moment.replace(tzinfo=None)
        times = pl.select(pl.repeat(naive, len(keys), dtype=pl.Datetime("us")).alias(TIME))
        alive = keys.filter(best_rows(keys, in_order(times), self.timeline).is_not_null())
        return alive.cast({pl.Enum: pl.String}).rename(self.entity_column)

    def features_of(
        self, entities: pl.DataFrame, moments: pl.DataFrame
    ) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """Yield the view's features by their output names and in order.

        `moments` is the result of asof_join's `in_order` for the entity rows.
        """
        keys = [pl.col(column).alias(key) for key, column in self.entity_column.items()]
        answers = join(entities.select(keys), moments, self.timeline)
        columns = answers.to_arrow(compat_level=pl.CompatLevel.oldest())
        for feature, name in self.output_name.items():
            yield name, columns[feature].cast(self.types[feature])


def view_join(
    view: FeatureView,
    feature_refs: Sequence[str],
    entities: EntityRows | None,
    config: RepoConfig,
    *,
    full_feature_names: bool,
    known_only: bool,
) -> ViewJoin:
    """Check a view against its source and entity rows, if there are, then read and order its rows.

    Raises SourceError and EntityRowsError.
    """
    features = requested_features(view, feature_refs)
    prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
    output_name = {feature: f"{prefix}{feature}" for feature in features}
    renamed = view.projection.join_key_map
    entity_column = {k: renamed.get(k, k) for k in view.join_keys if k in source_columns(view)}
    source, columns = check_source(view, config), source_columns(view)
    if entities:
        check_entities(view, entity_column, list(output_name.values()), entities, source)
    rows = read_source(view, features, source)
    return ViewJoin(
        view.projection.name_to_use(),
        timeline(rows, list(entity_column), view.ttl, known_only=known_only),
        entity_column,
        output_name,
        {feature: source.returned_type(columns[feature]) for feature in features},
    )


def entity_rows_at(joins: Sequence[ViewJoin], moment: datetime) -> pa.Table:
    """Return a row, at a moment in UTC, for each entity that has features of any view then.

    Raises EntityRowsError for views of different keys, by their names or by their kinds: there is
    no entity that they share.
    """
    found = {view.view: view.entities_at(moment) for view in joins}
    found = {view: entities for view, entities in found.items() if entities.width}
    columns = {tuple(sorted(entities.columns)) for entities in found.values()}
    if len(columns) > 1:
        keys = " and ".join(", ".join(names) for names in sorted(columns))
        raise EntityRowsError(f"without entity rows all views need the same keys, not {keys}")
    names = next(iter(columns), ())
    every = _union(found, names).unique().sort(names) if names else pl.DataFrame()
    table = every.to_arrow(compat_level=pl.CompatLevel.oldest())
    times = pa.array([moment] * max(len(every), not names), pa.timestamp("us", "UTC"))
    return table.append_column(EVENT_TIME, times) if names else pa.table({EVENT_TIME: times})


def _union(found: Mapping[str, pl.DataFrame], names: Sequence[str]) -> pl.DataFrame:
    """Return the entities of all views, each key in the type that holds those of every view."""
    schemas = {v: f.to_arrow(compat_level=pl.CompatLevel.oldest()).schema for v, f in found.items()}
    types = {
        name: _shared_key({view: schema.field(name).type for view, schema in schemas.items()}, name)
        for name in names
    }
    return pl.concat(_converted(view, entities, types) for view, entities in found.items())


def _converted(view: str, keys: pl.DataFrame, types: Mapping[str, PolarsType]) -> pl.DataFrame:
    columns = {
        name: convert(pl.col(name), keys.schema[name], of, strict=False).alias(name)
        for name, of in types.items()
    }
    for name, converted in columns.items():
        lost = keys.filter(converted.is_null())[name].drop_nulls()
        lost = lost.drop_nans() if lost.dtype.is_float() else lost
        if len(lost):
            raise EntityRowsError(f"{lost[0]} of {name} in {view} has no place in {types[name]}")
    return keys.select(columns.values())


def _shared_key(types: Mapping[str, pa.DataType], name: str) -> PolarsType:
    try:
        return polars_type(promoted_key(types))
    except pa.ArrowTypeError as error:
        raise EntityRowsError(
            f"without entity rows all views need the same keys; {name} {error}"
        ) from error


def requested_features(view: FeatureView, feature_refs: Sequence[str]) -> list[str]:
    """Return the requested features of the view, without its name."""
    prefix = f"{view.projection.name_to_use()}:"
    return [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]


def check_entities(
    view: FeatureView,
    entity_column: dict[str, str],
    outputs: Sequence[str],
    entities: EntityRows,
    source: CheckedSource,
) -> None:
    """Raise EntityRowsError for entity rows that the view cannot be joined to."""
    columns = source_columns(view)
    for key, column in entity_column.items():
        if column not in entities.names:
            raise EntityRowsError(
                f"{view.name}: the entity rows have no column {column}, by which it is joined"
            )
        given, found = entities.schema([column]).field(0).type, source.types[columns[key]]
        if not same_key_kind(given, found):
            raise EntityRowsError(
                f"{view.name}: {column} of the entity rows is {given}, "
                f"{columns[key]} of {view.batch_source.path} is {found}"
            )
    for name in outputs:
        if name in entities.names:
            raise EntityRowsError(
                f"{view.name}: the entity rows have a column {name} already, like the feature; "
                "drop it, or set full_feature_names"
            )
