"""The values of a view in both stores, entity by entity."""

from datetime import datetime

import pandas as pd
from feast import FeatureStore, FeatureView

from lab.learn import settings

ENTITIES_PER_READ = 1_000


def offline_values(store: FeatureStore, view: str, moment: datetime) -> pd.DataFrame:
    """Return the offline values at `moment` of each entity that had not expired by then.

    Feast's engine also writes rows that happened and have not arrived yet; the plug-in waits for
    them.
    """
    definition = store.get_feature_view(view)
    (key,) = definition.join_keys
    source = definition.batch_source
    time, created = source.timestamp_field, source.created_timestamp_column
    rows = pd.read_parquet(source.path, columns=[key, time, created])
    by_created = settings.stores == "plugins"
    is_alive = rows[time].between(moment - definition.ttl, moment)
    if by_created:
        is_alive &= rows[created] <= moment
    entities = rows.loc[is_alive, [key]].drop_duplicates().assign(event_timestamp=moment)
    job = store.get_historical_features(
        entity_df=entities,
        features=_references(store, view),
        filter_by_created_timestamp=by_created,
    )
    return _features_by_entity(job.to_df(), definition)


def newest_row(store: FeatureStore, view: str, end: datetime) -> datetime | None:
    """Return the time of the newest row until `end`; None without rows.

    It is the time by which a run selects rows: Feast's event time, the plug-in's created time.
    """
    source = store.get_feature_view(view).batch_source
    by_created = settings.stores == "plugins"
    column = source.created_timestamp_column if by_created else source.timestamp_field
    times = pd.read_parquet(settings.feature_repo / source.path, columns=[column])[column]
    past = times[times <= end]
    return past.max().to_pydatetime() if len(past) else None


def online_values(store: FeatureStore, view: str, entities: pd.Index) -> pd.DataFrame:
    """Return the online values of each of `entities`, read through Feast a thousand at a time."""
    replies = []
    for start in range(0, len(entities), ENTITIES_PER_READ):
        keys = {entities.name: list(entities[start : start + ENTITIES_PER_READ])}
        replies.append(store.get_online_features(_references(store, view), keys).to_df())
    return _features_by_entity(pd.concat(replies), store.get_feature_view(view))


def differing(offline: pd.DataFrame, online: pd.DataFrame) -> pd.Series:
    """Return for each entity whether a value differs; numbers are float32, two nulls are equal."""
    numbers = dict.fromkeys(offline.select_dtypes("number"), "float32")
    left, right = offline.astype(numbers), online.astype(numbers)
    is_equal = (left == right) | (left.isna() & right.isna())
    return ~is_equal.all(axis=1)


def _references(store: FeatureStore, view: str) -> list[str]:
    return [f"{view}:{field.name}" for field in store.get_feature_view(view).features]


def _features_by_entity(values: pd.DataFrame, view: FeatureView) -> pd.DataFrame:
    return values.set_index(view.join_keys[0]).sort_index()[[field.name for field in view.features]]
