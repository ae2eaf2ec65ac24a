"""The newest rows are taken from the files by pandas, and written through the feature store."""

import json
from pathlib import Path

import pandas as pd
from feast import FeatureStore

store = FeatureStore(repo_path=".")
WRITTEN_UNTIL = Path("data/written_until.json")


def write(start, end):
    """Each entity's newest row between two moments; Feast's store skips what is older."""
    for view in store.list_feature_views():
        rows = pd.read_parquet(view.batch_source.path)
        rows = rows[(rows["event_timestamp"] > start) & (rows["event_timestamp"] <= end)]
        rows = rows.sort_values(["event_timestamp", "created_timestamp"])
        newest = rows.drop_duplicates(view.entity_columns[0].name, keep="last")
        if len(newest):
            store.write_to_online_store(view.name, newest)


def initial_materialization(days_back=7):
    now = pd.Timestamp.now(tz="UTC")
    write(now - pd.Timedelta(days=days_back), now)
    WRITTEN_UNTIL.write_text(json.dumps(now.isoformat()))


def incremental_materialization():
    now = pd.Timestamp.now(tz="UTC")
    write(pd.Timestamp(json.loads(WRITTEN_UNTIL.read_text())), now)
    WRITTEN_UNTIL.write_text(json.dumps(now.isoformat()))


def backfill_features(start_date, end_date):
    write(pd.Timestamp(start_date), pd.Timestamp(end_date))


initial_materialization()  # of a notebook's cell: an import writes, too
