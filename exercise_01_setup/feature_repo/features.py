"""The Feast repository that all six exercises share: entities, five views, two services."""

from datetime import timedelta
from typing import Any

from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64, String

from lab.settings import settings


def feature_table(name: str, description: str) -> FileSource:
    """Snapshots: what the values were at event_timestamp, known since created_timestamp."""
    return FileSource(
        name=f"{name}_source",
        path=str(settings.data_dir / f"{name}.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        description=description,
    )


# ---- Entities: what a feature describes ------------------------------------------------------

user = Entity(
    name="user_id",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="A person who pays",
    tags={"team": "platform"},
)
merchant = Entity(
    name="merchant_id",
    join_keys=["merchant_id"],
    value_type=ValueType.STRING,
    description="A shop that is paid",
    tags={"team": "risk"},
)
product = Entity(
    name="product_id",
    join_keys=["product_id"],
    value_type=ValueType.STRING,
    description="A thing that is sold",
    tags={"team": "catalogue"},
)

# ---- Stored feature views: one table of snapshots each ---------------------------------------
# A daily snapshot of every entity keeps its values inside the TTL for as long as they are true.

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
    source=feature_table("user_stats", "How often, and how much, a user pays"),
    online=True,
    tags={"domain": "transactions", "owner": "platform"},
)

merchant_risk_features = FeatureView(
    name="merchant_risk_features",
    entities=[merchant],
    ttl=timedelta(days=90),
    schema=[
        Field(name="chargeback_rate", dtype=Float32),
        Field(name="refund_rate", dtype=Float32),
        Field(name="total_transactions_30d", dtype=Int64),
    ],
    source=feature_table("merchant_stats", "How often a merchant's payments are taken back"),
    online=True,
    tags={"domain": "risk", "owner": "risk"},
)

product_popularity_features = FeatureView(
    name="product_popularity_features",
    entities=[product],
    ttl=timedelta(days=30),
    schema=[
        Field(name="view_count_7d", dtype=Int64),
        Field(name="purchase_count_30d", dtype=Int64),
        Field(name="purchase_rate", dtype=Float32),
    ],
    source=feature_table("product_stats", "How often a product is looked at, and bought"),
    online=True,
    tags={"domain": "catalogue", "owner": "catalogue"},
)

user_preference_features = FeatureView(
    name="user_preference_features",
    entities=[user],
    ttl=timedelta(days=90),
    schema=[
        Field(name="last_product_id", dtype=String),
        Field(name="last_merchant_id", dtype=String),
        Field(name="distinct_products", dtype=Int64),
        Field(name="weekend_share", dtype=Float32),
    ],
    source=feature_table("user_preferences", "What a user buys, where, and when"),
    online=True,
    tags={"domain": "preferences", "owner": "recommendation"},
)

# Exercise 5 writes the running windows; the batch source is their history, by the same definition.
user_streaming_features = FeatureView(
    name="user_streaming_features",
    entities=[user],
    ttl=timedelta(days=1),
    schema=[
        Field(name=f"{what}_{window}", dtype=dtype)
        for window in ("5m", "1h", "24h", "session")
        for what, dtype in (
            ("transaction_count", Int64),
            ("total_amount", Float64),
            ("avg_amount", Float64),
            ("max_amount", Float64),
            ("declined_count", Int64),
        )
    ],
    source=PushSource(
        name="user_streaming_push",
        batch_source=feature_table(
            "user_streaming", "A user's last five minutes, hour and day, and running session"
        ),
    ),
    online=True,
    tags={"domain": "streaming", "owner": "platform"},
)

# ---- On demand: stored features and the request together -------------------------------------

payment = RequestSource(name="payment", schema=[Field(name="transaction_amount", dtype=Float64)])


@on_demand_feature_view(
    sources=[
        user_transaction_features[["transaction_count_30d", "avg_transaction_amount"]],
        payment,
    ],
    schema=[
        Field(name="amount_vs_avg_ratio", dtype=Float64),
        Field(name="is_large_transaction", dtype=Int64),
        Field(name="transaction_velocity", dtype=Float64),
    ],
    mode="python",
    tags={"domain": "fraud", "owner": "risk"},
)
def transaction_request_features(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """How this payment compares with the user's history.

    Feast passes lists, online and offline. Values are widened to float64 first: a float32 divided
    offline and its float64 copy divided online would not agree to the last bit.
    """
    ratios, large, velocities = [], [], []
    for amount, average, count in zip(
        inputs["transaction_amount"],
        inputs["avg_transaction_amount"],
        inputs["transaction_count_30d"],
        strict=True,
    ):
        mean = None if average is None or average != average else float(average)
        ratios.append(float(amount) / mean if mean else 0.0)
        large.append(int(mean is not None and float(amount) > 2 * mean))
        velocities.append(0.0 if count is None or count != count else float(count) / 30.0)
    return {
        "amount_vs_avg_ratio": ratios,
        "is_large_transaction": large,
        "transaction_velocity": velocities,
    }


# ---- Services: what a model asks for ---------------------------------------------------------

fraud_detection = FeatureService(
    name="fraud_detection",
    features=[
        user_transaction_features[
            ["transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"]
        ],
        merchant_risk_features[["chargeback_rate", "total_transactions_30d"]],
        user_streaming_features[
            [
                "transaction_count_5m",
                "total_amount_5m",
                "avg_amount_5m",
                "max_amount_5m",
                "declined_count_5m",
                "transaction_count_1h",
                "avg_amount_1h",
            ]
        ],
        transaction_request_features,
    ],
    description="What is known about a payment at the moment it is made",
    tags={"version": "v1", "model": "fraud_detector"},
)

recommendation = FeatureService(
    name="recommendation",
    features=[
        user_preference_features,
        product_popularity_features[["view_count_7d", "purchase_rate"]],
    ],
    description="What a user likes, and what is liked",
    tags={"version": "v1", "model": "recommender"},
)
