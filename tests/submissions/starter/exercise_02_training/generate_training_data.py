import numpy as np
import pandas as pd
from feast import FeatureStore

store = FeatureStore(repo_path=".")


def create_entity_df():
    return pd.DataFrame(
        {
            "user_id": [f"user_{i % 100}" for i in range(1000)],
            "merchant_id": [f"merchant_{i % 50}" for i in range(1000)],
            "event_timestamp": pd.date_range("2024-10-01", "2024-10-30", periods=1000),
            "transaction_amount": np.random.uniform(10, 1000, 1000),
            "is_fraud": np.random.choice([0, 1], 1000, p=[0.95, 0.05]),
        }
    )


entity_df = create_entity_df()


def get_training_data(entity_df):
    return store.get_historical_features(
        entity_df=entity_df,
        features=[
            "user_transaction_features:transaction_count_7d",
            "user_transaction_features:transaction_count_30d",
            "user_transaction_features:avg_transaction_amount",
            "merchant_risk_features:chargeback_rate",
            "merchant_risk_features:total_transactions_30d",
        ],
    ).to_df()


training_df = get_training_data(entity_df)


def validate_pit_correctness(training_df):
    print(training_df.isnull().sum())
    # TODO: compare with the history


def demonstrate_leakage():
    latest = pd.DataFrame(
        {"user_id": entity_df["user_id"], "latest": np.random.randint(50, 200, len(entity_df))}
    )
    comparison = entity_df.merge(latest, on="user_id").merge(training_df, on="user_id")
    print(comparison.head(10))


def export_training_data(training_df):
    training_df.drop(columns=["is_fraud"]).to_parquet("data/X_train.parquet")
    training_df[["is_fraud"]].to_parquet("data/y_train.parquet")
