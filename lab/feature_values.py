"""A view's values, offline and online, entity by entity and in their declared types."""

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from lab.feature_store import with_declared_types
from lab.settings import settings

if TYPE_CHECKING:
    from feast import FeatureStore

ENTITIES_PER_READ = 1_000


def offline_values(
    store: "FeatureStore", view: str, moment: datetime, sample: int | None = None
) -> pd.DataFrame:
    """Return the offline values at `moment` of each entity that had not expired by then.

    With `sample`, return that many random entities, seeded by the moment.
    """
    entities = known_entities(store, view, moment)
    if sample is not None and sample < len(entities):
        entities = entities.sample(sample, random_state=int(moment.timestamp()))
    job = store.get_historical_features(
        entity_df=entities.to_frame().assign(event_timestamp=moment),
        features=references(store, view),
        # Feast's own engine also materializes what has happened and not arrived yet.
        filter_by_created_timestamp=settings.stores == "plugins",
    )
    return _typed(job.to_df(), store, view)


def online_values(store: "FeatureStore", view: str, entities: pd.Index) -> pd.DataFrame:
    """Return the online values of `entities`, read through Feast a thousand at a time."""
    answers = []
    for start in range(0, len(entities), ENTITIES_PER_READ):
        keys = {entities.name: list(entities[start : start + ENTITIES_PER_READ])}
        answers.append(store.get_online_features(references(store, view), keys).to_df())
    return _typed(pd.concat(answers), store, view)


def known_entities(store: "FeatureStore", view: str, moment: datetime) -> pd.Series:
    """Return the keys of all entities with a row that had arrived at `moment`, not expired."""
    definition = store.get_feature_view(view)
    (key,) = definition.join_keys
    time = definition.batch_source.timestamp_field
    created = definition.batch_source.created_timestamp_column
    rows = pd.read_parquet(definition.batch_source.path, columns=[key, time, created])
    is_alive = rows[time].between(moment - definition.ttl, moment)
    return rows[is_alive & (rows[created] <= moment)][key].drop_duplicates()


def references(store: "FeatureStore", view: str) -> list[str]:
    """Return a view's features in the form of Feast's feature references."""
    return [f"{view}:{field.name}" for field in store.get_feature_view(view).features]


def _typed(values: pd.DataFrame, store: "FeatureStore", view: str) -> pd.DataFrame:
    (key,) = store.get_feature_view(view).join_keys
    names = [reference.split(":")[1] for reference in references(store, view)]
    return with_declared_types(values.set_index(key).sort_index(), store)[names]


def differing(offline: pd.DataFrame, online: pd.DataFrame) -> pd.Series:
    """Return, for each entity, whether a value differs; two nulls are equal."""
    equal = (offline == online).fillna(False).astype(bool) | (offline.isna() & online.isna())
    return ~equal.all(axis=1)
