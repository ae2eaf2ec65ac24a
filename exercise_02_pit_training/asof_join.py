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

# A snapshot can be seen from its event time on; in truth only when it has also been created. From
# then on it counts until one with a newer (event time, created) pair can be seen: a late row never
# displaces a newer one. DuckDB compares structs field by field, so one running maximum says it all.
AS_OF = """
WITH snapshots AS (
    SELECT "{key}" AS key, {visible_since} AS since,
        {{event_time: "{event_time}", created: "{created}", {features}}} AS snapshot
    FROM read_parquet($source)
),
newest AS (
    SELECT key, since, max(snapshot) OVER (PARTITION BY key ORDER BY since) AS snapshot
    FROM snapshots
)
SELECT unnest(CASE WHEN snapshot.event_time >= used - $ttl THEN snapshot END)
FROM asked ASOF LEFT JOIN newest ON asked.key = newest.key AND asked.moment >= newest.since
ORDER BY asked.row
"""
VISIBLE_SINCE = {"event time": '"{event_time}"', "arrival": 'greatest("{event_time}", "{created}")'}


def features_as_of(
    store: "FeatureStore",
    views: list[str],
    rows: pd.DataFrame,
    moments: pd.Series,
    visibility: Visibility,
) -> pd.DataFrame:
    """The views' features for each of `rows`, in order, as they could be seen at its moment.

    `rows` needs the views' keys, event_timestamp, and what on-demand views ask of the request. A
    value's age is judged when it is used: at the row's event, or at its moment if that is later.
    """
    stored = {view.name: view for view in store.list_feature_views()}
    joined = [_join(stored[name], rows, moments, visibility) for name in views if name in stored]
    table = pd.concat(joined, axis="columns")
    inputs = rows.reset_index(drop=True).join(table)
    on_demand = [store.get_on_demand_feature_view(name) for name in views if name not in stored]
    for view in on_demand:
        computed = view.feature_transformation.udf(inputs.to_dict("list"))
        table = table.assign(**computed)
    return table


def _join(
    view: "FeatureView", rows: pd.DataFrame, moments: pd.Series, visibility: Visibility
) -> pd.DataFrame:
    event = pd.to_datetime(rows["event_timestamp"], utc=True).reset_index(drop=True)
    moment = pd.to_datetime(moments, utc=True).reset_index(drop=True)
    asked = pd.DataFrame(
        {
            "row": range(len(rows)),
            "key": rows[view.join_keys[0]].to_numpy(),
            "moment": moment,
            "used": moment.where(moment > event, event),
        }
    )
    source = view.batch_source
    names = {"event_time": source.timestamp_field, "created": source.created_timestamp_column}
    features = [field.name for field in view.features]
    query = AS_OF.format(
        key=view.join_keys[0],
        visible_since=VISIBLE_SINCE[visibility].format(**names),
        features=", ".join(f'"{name}": "{name}"' for name in features),
        **names,
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("asked", asked)
        joined = connection.execute(query, {"source": source.path, "ttl": view.ttl}).df()
    return joined[features]
