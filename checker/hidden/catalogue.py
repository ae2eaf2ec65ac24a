"""The views and raw tables that the brief names."""

from dataclasses import dataclass

EVENT_TIME, CREATED = "event_timestamp", "created_timestamp"
RAW_TABLES = ("transactions", "product_views", "chargebacks", "refunds")


@dataclass(frozen=True)
class KnownView:
    """A view that the brief names: its key, its table, its features, and those that matter most."""

    name: str
    key: str
    table: str
    features: tuple[str, ...]
    critical: tuple[str, ...] = ()


KNOWN_VIEWS = {
    view.name: view
    for view in (
        KnownView(
            "user_transaction_features",
            "user_id",
            "user_stats",
            (
                "transaction_count_7d",
                "transaction_count_30d",
                "avg_transaction_amount",
                "total_amount_30d",
            ),
            ("transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"),
        ),
        KnownView(
            "merchant_risk_features",
            "merchant_id",
            "merchant_stats",
            ("chargeback_rate", "refund_rate", "total_transactions_30d"),
            ("chargeback_rate", "total_transactions_30d"),
        ),
        KnownView(
            "product_popularity_features",
            "product_id",
            "product_stats",
            ("view_count_7d", "purchase_count_30d", "purchase_rate"),
        ),
    )
}
