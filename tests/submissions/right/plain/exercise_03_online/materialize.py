import os
from datetime import datetime, timedelta

import redis
from feast import FeatureStore

store = FeatureStore(repo_path=".")
client = redis.Redis(port=int(os.environ.get("LAB_REDIS_PORT", "6379")))


def initial_materialization(days_back=7):
    now = datetime.now()
    store.materialize(start_date=now - timedelta(days=days_back), end_date=now)


def incremental_materialization():
    store.materialize_incremental(end_date=datetime.now())


def validate_materialization():
    return client.dbsize() > 0


def backfill_features(start_date, end_date):
    while start_date < end_date:
        step = min(start_date + timedelta(days=2), end_date)
        store.materialize(start_date=start_date, end_date=step)
        start_date = step


def monitor_materialization():
    print(datetime.now())
