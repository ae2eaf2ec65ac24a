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
from feast.types import Float32, Float64, Int64, PrimitiveFeastType, String

from lab.learn import settings


def feature_table(name: str, description: str) -> FileSource:
    """Snapshots: what the values were at event_timestamp, known since created_timestamp."""
    return FileSource(
        name=f"{name}_source",
        path=str(settings.data_dir / f"{name}.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        description=description,
    )


def feature(name: str, dtype: PrimitiveFeastType, description: str) -> Field:
    """A field with its window, its unit, and whether declined payments count."""
    return Field(name=name, dtype=dtype, description=description)


# ---- Entities: what a feature describes ------------------------------------------------------

user = Entity(
    name="user_id",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="Customer who makes payments",
    tags={"team": "platform"},
)
merchant = Entity(
    name="merchant_id",
    join_keys=["merchant_id"],
    value_type=ValueType.STRING,
    description="Shop that receives payments",
    tags={"team": "risk"},
)
product = Entity(
    name="product_id",
    join_keys=["product_id"],
    value_type=ValueType.STRING,
    description="Product sold by a merchant",
    tags={"team": "catalogue"},
)

# ---- Stored feature views: one table of snapshots each ---------------------------------------
# A snapshot holds the payments before its full hour, declined ones included, and arrives 20 minutes
# later (one in fifty 5 hours later). A daily snapshot of every entity keeps its values inside the
# TTL for as long as they are true.

user_transaction_features = FeatureView(
    name="user_transaction_features",
    entities=[user],
    ttl=timedelta(days=90),
    schema=[
        feature("transaction_count_7d", Int64, "Payments of the last 7 days, declined or not"),
        feature("transaction_count_30d", Int64, "Payments of the last 30 days, declined or not"),
        feature("avg_transaction_amount", Float32, "Mean dollars of all payments, declined or not"),
        feature("total_amount_30d", Float32, "Dollars paid in the last 30 days, declined or not"),
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
        # A chargeback or refund counts from its own day on, up to weeks after the payment.
        feature("chargeback_rate", Float32, "Known chargebacks over all payments, declined or not"),
        feature("refund_rate", Float32, "Known refunds over all payments, declined or not"),
        feature("total_transactions_30d", Int64, "Payments of the last 30 days, declined or not"),
        feature(
            "transactions_24h_vs_daily_mean",
            Float32,
            "Payments of the last 24 hours over the daily mean of the last 30 days, "
            "declined or not; null without payments in 30 days",
        ),
        feature("chargeback_count_30d", Int64, "Chargebacks of 30 days, of payments of any age"),
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
        feature("view_count_7d", Int64, "Product views of the last 7 days"),
        feature("purchase_count_30d", Int64, "Payments of the last 30 days, declined or not"),
        feature("purchase_rate", Float32, "Payments over product views of 30 days; may exceed 1"),
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
        feature("last_product_id", String, "Product of the newest payment, declined or not"),
        feature("last_merchant_id", String, "Merchant of the newest payment, declined or not"),
        feature("distinct_products", Int64, "Products of all payments so far, declined or not"),
        feature("weekend_share", Float32, "Share of all payments on a Saturday or Sunday (UTC)"),
    ],
    source=feature_table("user_preferences", "What a user buys, where, and when"),
    online=True,
    tags={"domain": "preferences", "owner": "recommendation"},
)

# Exercise 5 writes the running windows; the batch source is their history, by the same definition.
# An event counts five seconds after it happened (`created_timestamp`), more than the job takes.
STREAMING_WINDOWS = {
    "5m": "since the last full five minutes, on average 2.5 minutes",
    "1h": "of the last 12 five-minute tiles, the running one included",
    "24h": "of the last 24 clock hours, the running one included",
    "session": "of the running session, which ends 30 minutes after its last payment",
}
STREAMING_METRICS = {
    "transaction_count": (Int64, "Payments {}, declined or not"),
    "total_amount": (Float64, "Dollars paid {}, declined or not"),
    "avg_amount": (Float64, "Mean dollars of the payments {}; null without one"),
    "max_amount": (Float64, "Largest payment in dollars {}; null without one"),
    "declined_count": (Int64, "Declined payments {}"),
}
user_streaming_features = FeatureView(
    name="user_streaming_features",
    entities=[user],
    ttl=timedelta(days=1),
    schema=[
        feature(f"{metric}_{window}", dtype, description.format(events))
        for window, events in STREAMING_WINDOWS.items()
        for metric, (dtype, description) in STREAMING_METRICS.items()
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
    # Feast refuses descriptions of these fields: the fields that it infers have none.
    description="amount_vs_avg_ratio: this amount over avg_transaction_amount. "
    "is_large_transaction: 1 above twice that mean, else 0. transaction_velocity: payments a day, "
    "transaction_count_30d / 30. Each is null where the history is.",
    tags={"domain": "fraud", "owner": "risk"},
)
def transaction_request_features(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Compare this payment with the user's history; an unknown input gives an unknown feature.

    Feast passes lists, online and offline. Values are widened to float64 first: a float32 divided
    offline and its float64 copy divided online would not agree to the last bit.
    """

    def number(value: Any) -> float | None:  # in here, as Feast stores this function alone
        return None if value is None or value != value else float(value)

    amounts = [float(amount) for amount in inputs["transaction_amount"]]
    means = [number(mean) for mean in inputs["avg_transaction_amount"]]
    counts = [number(count) for count in inputs["transaction_count_30d"]]
    pairs = list(zip(amounts, means, strict=True))
    return {
        "amount_vs_avg_ratio": [amount / mean if mean else None for amount, mean in pairs],
        "is_large_transaction": [
            None if mean is None else int(amount > 2 * mean) for amount, mean in pairs
        ],
        "transaction_velocity": [None if count is None else count / 30 for count in counts],
    }


# ---- Services: the inputs of a model ---------------------------------------------------------

fraud_detection = FeatureService(
    name="fraud_detection",
    features=[
        user_transaction_features[
            ["transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"]
        ],
        merchant_risk_features[
            [
                "chargeback_rate",
                "total_transactions_30d",
                "transactions_24h_vs_daily_mean",
                "chargeback_count_30d",
            ]
        ],
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
    tags={"version": "v2", "model": "fraud_detector"},
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
