from pathlib import Path

import pandas as pd
from feast import FeatureStore

DATA = Path("data")
store = FeatureStore(repo_path=".")
FEATURES = [
    "user_transaction_features:transaction_count_7d",
    "user_transaction_features:transaction_count_30d",
    "user_transaction_features:mean_amount",
    "merchant_risk_features:chargeback_rate",
    "merchant_risk_features:total_transactions_30d",
]
NAMES = [reference.split(":")[1] for reference in FEATURES]


def create_entity_df():
    raw = pd.read_parquet(DATA / "transactions.parquet").dropna(subset=["label"])
    names = {"user_id": "customer_id", "amount": "transaction_amount", "label": "is_fraud"}
    frame = raw.rename(columns=names)
    columns = ["customer_id", "merchant_id", "event_timestamp", "transaction_amount", "is_fraud"]
    return frame[columns].drop_duplicates(["customer_id", "merchant_id", "event_timestamp"])


def get_training_data(entity_df):
    return store.get_historical_features(entity_df=entity_df, features=FEATURES).to_df()


def expected_counts(training_df):
    """The count of the last snapshot before each row, by an as-of merge in pandas."""
    stats = pd.read_parquet(DATA / "user_stats.parquet").sort_values(
        ["event_timestamp", "created_timestamp"]
    )
    stats["event_timestamp"] = stats["event_timestamp"].astype("datetime64[us, UTC]")
    rows = training_df[["customer_id", "event_timestamp"]].reset_index()
    rows["event_timestamp"] = rows["event_timestamp"].astype("datetime64[us, UTC]")
    merged = pd.merge_asof(
        rows.sort_values("event_timestamp"), stats, on="event_timestamp", by="customer_id"
    )
    return merged.set_index("index").sort_index()["transaction_count_30d"]


def validate_pit_correctness(training_df):
    training_df = training_df.reset_index(drop=True)
    right = expected_counts(training_df)
    given = training_df["transaction_count_30d"]
    return {"passed": bool(((right == given) | (right.isna() & given.isna())).all())}


def demonstrate_leakage():
    sample = get_training_data(create_entity_df().iloc[-800:])
    stats = pd.read_parquet(DATA / "user_stats.parquet")
    newest = stats.sort_values("event_timestamp").groupby("customer_id")["transaction_count_30d"]
    sample["latest_count"] = sample["customer_id"].map(newest.last())
    return sample[
        ["customer_id", "merchant_id", "event_timestamp", "transaction_count_30d", "latest_count"]
    ]


def export_training_data(training_df):
    full = training_df.dropna(subset=[n for n in NAMES if training_df[n].notna().any()])
    full = full.sort_values("event_timestamp")
    bounds = [0, int(len(full) * 0.7), int(len(full) * 0.85), len(full)]
    for name, start, end in zip(["train", "val", "test"], bounds, bounds[1:], strict=False):
        part = full.iloc[start:end]
        part[["transaction_amount", *NAMES]].to_parquet(DATA / f"X_{name}.parquet")
        part[["is_fraud"]].to_parquet(DATA / f"y_{name}.parquet")
    aside = training_df.drop(index=full.index).assign(reason="no history")
    aside.to_parquet(DATA / "excluded.parquet")


print(get_training_data(create_entity_df().tail(100)).describe())
