import json
import os
import threading
import time

import joblib
import redis
from fastapi import FastAPI, HTTPException
from feast import FeatureStore
from pydantic import BaseModel, Field

FEATURES = {
    "transaction_count_7d": "user_transaction_features:transaction_count_7d",
    "transaction_count_30d": "user_transaction_features:transaction_count_30d",
    "avg_transaction_amount": "user_transaction_features:mean_amount",
    "chargeback_rate": "merchant_risk_features:chargeback_rate",
    "total_transactions_30d": "merchant_risk_features:total_transactions_30d",
}
INPUTS = [
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "amount_vs_avg_ratio",
    "transaction_velocity",
]

app = FastAPI()
store = FeatureStore(repo_path=os.environ.get("LAB_FEATURE_REPO", "../exercise_01_setup"))
port = int(os.environ.get("LAB_REDIS_PORT", "6379"))
cache = redis.Redis(port=port, db=1, socket_timeout=1)
stream = redis.Redis(port=port, socket_timeout=1)
model = joblib.load("models/fraud_detector.pkl")
counts = {"hits": 0, "misses": 0, "predictions": 0}
lock = threading.Lock()


class Transaction(BaseModel):
    user_id: str
    merchant_id: str
    transaction_amount: float = Field(gt=0)
    timestamp: str | None = None


class Batch(BaseModel):
    transactions: list[Transaction] = Field(min_length=1, max_length=100)


def count(name):
    with lock:
        counts[name] += 1


def stored_features(transaction):
    user, merchant = transaction.user_id, transaction.merchant_id
    key = f"{user}/{merchant}"
    known = cache.get(key)
    if known:
        count("hits")
        return json.loads(known)
    count("misses")
    found = store.get_online_features(
        features=list(FEATURES.values()),
        entity_rows=[{"customer_id": user, "merchant_id": merchant}],
    ).to_dict()
    values = {name: found[own.split(":")[1]][0] or 0 for name, own in FEATURES.items()}
    cache.setex(key, 300, json.dumps(values))
    return values


def streaming_features(user):
    return json.loads(stream.get(f"streaming_features:user:{user}") or "{}")


def answer(transaction):
    start = time.perf_counter()
    count("predictions")
    features = stored_features(transaction)
    average, amount = features["avg_transaction_amount"], transaction.transaction_amount
    features["amount_vs_avg_ratio"] = amount / average if average else 0
    features["is_large_transaction"] = int(amount > 2 * average)
    features["transaction_velocity"] = features["transaction_count_30d"] / 30
    features.update(streaming_features(transaction.user_id))
    row = [[features[name] for name in INPUTS] + [amount]]
    probability = float(model.predict_proba(row)[0][1])
    return {
        "user_id": transaction.user_id,
        "merchant_id": transaction.merchant_id,
        "is_fraud": probability > 0.5,
        "fraud_probability": probability,
        "features": features,
        "latency_ms": (time.perf_counter() - start) * 1000,
    }


@app.post("/predict")
def predict(transaction: Transaction):
    try:
        return answer(transaction)
    except redis.RedisError as error:
        raise HTTPException(503, "no features") from error


@app.post("/predict/batch")
def predict_batch(batch: Batch):
    start = time.perf_counter()
    predictions = [predict(transaction) for transaction in batch.transactions]
    milliseconds = (time.perf_counter() - start) * 1000
    return {"predictions": predictions, "total_latency_ms": milliseconds}


@app.get("/health")
def health():
    try:
        cache.ping()
    except redis.RedisError:
        return {"status": "unhealthy", "redis": "down"}
    return {"status": "healthy", "redis": "up"}


@app.get("/stats")
def stats():
    total = max(counts["hits"] + counts["misses"], 1)
    return {
        "cache_hits": counts["hits"],
        "cache_misses": counts["misses"],
        "cache_hit_rate": counts["hits"] / total,
        "total_predictions": counts["predictions"],
    }
