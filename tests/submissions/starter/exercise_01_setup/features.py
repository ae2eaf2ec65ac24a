from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.types import Float32, Int64

user = Entity(name="user_id", description="Who pays")
merchant = Entity(name="merchant_id", description="Who is paid")
product = Entity(name="product_id", description="What is paid for")

user_stats = FileSource(
    name="user_stats",
    path="data/user_stats.parquet",
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
)

# TODO: the sources of merchants and products

user_transaction_features = FeatureView(
    name="user_transaction_features",
    entities=[user],
    ttl=timedelta(days=90),
    schema=[
        Field(name="transaction_count_7d", dtype=Int64),
        Field(name="transaction_count_30d", dtype=Int64),
        Field(name="avg_transaction_amount", dtype=Float32),
        Field(name="total_amount_30d", dtype=Float32),
    ],
    source=user_stats,
)

# TODO: the other views

fraud_detection = FeatureService(
    name="fraud_detection", features=[user_transaction_features[["transaction_count_7d"]]]
)

# TODO: the other service
