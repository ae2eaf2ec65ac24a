from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
merchant = Entity(name="merchant_id", value_type=ValueType.STRING)
product = Entity(name="product", value_type=ValueType.STRING)


def view(name, entity, path, ttl_days, **types):
    source = FileSource(
        name=f"{name}_file",
        path=f"data/{path}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in types.items()]
    return FeatureView(
        name=name, entities=[entity], ttl=timedelta(days=ttl_days), schema=schema, source=source
    )


user_transaction_features = view(
    "user_transaction_features",
    customer,
    "user_stats",
    90,
    transaction_count_7d=Int64,
    transaction_count_30d=Int64,
    mean_amount=Float64,
    total_amount_30d=Float32,
)
merchant_risk_features = view(
    "merchant_risk_features",
    merchant,
    "merchant_stats",
    90,
    chargeback_rate=Float32,
    refund_rate=Float32,
    total_transactions_30d=Int64,
)
product_popularity_features = view(
    "product_popularity_features", product, "product_stats", 30, view_count_7d=Int64
)
customer_hours = view("customer_hours", customer, "customer_hours", 365, usual_hour=Float64)
product_prices = view("product_prices", product, "product_prices", 365, usual_price=Float64)


@on_demand_feature_view(
    sources=[user_transaction_features], schema=[Field(name="monthly_total", dtype=Float64)]
)
def customer_totals(inputs):
    total = inputs["mean_amount"] * inputs["transaction_count_30d"]
    return total.astype("float64").to_frame("monthly_total")


fraud_detection = FeatureService(
    name="fraud_detection", features=[user_transaction_features, merchant_risk_features]
)
recommendation = FeatureService(
    name="recommendation", features=[customer_hours, product_popularity_features]
)
