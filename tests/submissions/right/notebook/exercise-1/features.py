"""Five views of three files; two of the files serve two views each."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64


def source(table):
    return FileSource(
        name=table,
        path=f"data/{table}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )


user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
merchant = Entity(name="merchant", join_keys=["merchant_id"], value_type=ValueType.STRING)
product = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)
user_stats, merchant_stats = source("user_stats"), source("merchant_stats")

user_transaction_features = FeatureView(
    name="user_transaction_features",
    entities=[user],
    ttl=timedelta(days=60),
    schema=[
        Field(name="transaction_count_7d", dtype=Int64),
        Field(name="transaction_count_30d", dtype=Int64),
        Field(name="avg_transaction_amount", dtype=Float32),
        Field(name="total_amount_30d", dtype=Float32),
    ],
    source=user_stats,
)
user_spending = FeatureView(
    name="user_spending",
    entities=[user],
    ttl=timedelta(days=60),
    schema=[Field(name="total_amount_30d", dtype=Float32)],
    source=user_stats,
)
merchant_risk_features = FeatureView(
    name="merchant_risk_features",
    entities=[merchant],
    ttl=timedelta(days=60),
    schema=[
        Field(name="chargeback_rate", dtype=Float32),
        Field(name="total_transactions_30d", dtype=Int64),
    ],
    source=merchant_stats,
)
merchant_returns = FeatureView(
    name="merchant_returns",
    entities=[merchant],
    ttl=timedelta(days=60),
    schema=[Field(name="refund_rate", dtype=Float32)],
    source=merchant_stats,
)
product_popularity_features = FeatureView(
    name="product_popularity_features",
    entities=[product],
    ttl=timedelta(days=60),
    schema=[
        Field(name="view_count_7d", dtype=Int64),
        Field(name="purchase_count_30d", dtype=Int64),
    ],
    source=source("product_stats"),
)

fraud_detection = FeatureService(
    name="fraud_detection", features=[user_transaction_features, merchant_risk_features]
)
recommendation = FeatureService(
    name="recommendation", features=[user_spending, product_popularity_features]
)
