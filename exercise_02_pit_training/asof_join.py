"""Features as of any moment, in one DuckDB query per view: fast where many joins are needed.

The definitions stay Feast's: sources, TTLs and on-demand code are read from the applied store. A
test holds this join against `get_historical_features`, value for value.
"""

from typing import TYPE_CHECKING, Literal

import duckdb
import pandas as pd

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

Visibility = Literal["event time", "arrival"]

# A snapshot is seen from its event time on; in truth only once it has also been created. Then it
# counts until one with a newer (event time, created time) is seen: a late row never displaces a
# newer one. DuckDB compares structs field by field, so that one running maximum says all of it.
AS_OF = """
WITH snapshots AS (
    SELECT "{key}" AS key, {seen_from} AS seen_from,
        {{event_time: "{event_time}", created: "{created}", {features}}} AS snapshot
    FROM read_parquet($source)
),
newest AS (
    SELECT key, seen_from, max(snapshot) OVER (PARTITION BY key ORDER BY seen_from) AS snapshot
    FROM snapshots
)
SELECT unnest(CASE WHEN snapshot.event_time >= used - $ttl THEN snapshot END)
FROM asked ASOF LEFT JOIN newest ON asked.key = newest.key AND asked.moment >= newest.seen_from
ORDER BY asked.row
"""
SEEN_FROM: dict[Visibility, str] = {
    "event time": '"{event_time}"',
    "arrival": 'greatest("{event_time}", "{created}")',
}


def features_as_of(
    store: "FeatureStore",
    views: list[str],
    rows: pd.DataFrame,
    moments: pd.Series,
    visibility: Visibility,
) -> pd.DataFrame:
    """The features of `views` for each of `rows`, in order, as they could be seen at its moment.

    `rows` needs the views' keys, event_timestamp, and what on-demand views ask of the request. How
    old a value is counts when it is used: at the row's event, or at its moment if that is later.
    """
    stored = {view.name: view for view in store.list_feature_views()}
    joined = [_join(stored[name], rows, moments, visibility) for name in views if name in stored]
    table = pd.concat([rows.reset_index(drop=True), *joined], axis="columns")
    for name in [name for name in views if name not in stored]:
        view = store.get_on_demand_feature_view(name)
        table = table.assign(**view.feature_transformation.udf(table.to_dict("list")))
    return table.drop(columns=rows.columns)


def _join(
    view: "FeatureView", rows: pd.DataFrame, moments: pd.Series, visibility: Visibility
) -> pd.DataFrame:
    event, moment = rows["event_timestamp"].to_numpy(), moments.to_numpy()
    asked = pd.DataFrame({"row": range(len(rows)), "key": rows[view.join_keys[0]].to_numpy()})
    asked = asked.assign(moment=moment, used=pd.Series(moment).clip(lower=pd.Series(event)))
    source = view.batch_source
    times = {"event_time": source.timestamp_field, "created": source.created_timestamp_column}
    features = [field.name for field in view.features]
    query = AS_OF.format(
        key=view.join_keys[0],
        seen_from=SEEN_FROM[visibility].format(**times),
        features=", ".join(f'"{name}": "{name}"' for name in features),
        **times,
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("asked", asked)
        joined = connection.execute(query, {"source": source.path, "ttl": view.ttl})
        return joined.to_arrow_table().select(features).to_pandas()
