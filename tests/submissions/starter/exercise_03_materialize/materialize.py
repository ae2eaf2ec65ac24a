import os
from datetime import datetime, timedelta

import redis
from feast import FeatureStore

store = FeatureStore(repo_path=".")


def initial_materialization(days_back=7):
    now = datetime.now()
    store.materialize(start_date=now - timedelta(days=days_back), end_date=now)


initial_materialization()


def incremental_materialization():
    store.materialize_incremental(end_date=datetime.now())


def validate_materialization():
    client = redis.Redis(port=int(os.environ["LAB_REDIS_PORT"]), decode_responses=True)
    for key in client.keys("*")[:5]:
        print(key, client.get(key), client.ttl(key))
    entities = pd.DataFrame({"user_id": ["user_1"], "event_timestamp": [datetime.now()]})
    print(store.get_historical_features(entity_df=entities, features=["a:b"]).to_df())


validate_materialization()


def backfill_features(start_date, end_date):
    store.materialize(start_date=start_date, end_date=end_date)
