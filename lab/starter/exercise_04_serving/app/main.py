"""Exercise 4: an API that predicts fraud from features in Redis, in less than 15 ms.

The grader starts it in exercise_04_serving, by `uvicorn app.main:app` on a port of its choice. The
feature store is at $LAB_FEATURE_REPO, Redis at $LAB_REDIS_PORT.
"""

from typing import Any

# TODO 1: app = FastAPI(), one FeatureStore for all requests, the cache in Redis's database 1.
# TODO 2: models of the requests and responses, with pydantic.


def get_features_cached(user_id: str, merchant_id: str) -> dict[str, float]:
    """The stored features of a pair, from the cache or from the online store."""
    # TODO 3: count hits and misses where they happen; an entity without features gives None.
    raise NotImplementedError


def compute_on_demand_features(
    features: dict[str, float], transaction_amount: float
) -> dict[str, float]:
    """amount_vs_avg_ratio, is_large_transaction and transaction_velocity."""
    # TODO 4
    raise NotImplementedError


def predict_fraud(request: Any) -> dict[str, Any]:
    """POST /predict: the verdict, its probability, and the features that it was made from."""
    # TODO 5: train a model on exercise 2's export, and load it once.
    raise NotImplementedError


def predict_fraud_batch(request: Any) -> dict[str, Any]:
    """POST /predict/batch: 1 to 100 predictions, in the order of the request."""
    # TODO 6: one read of the online store for the whole batch.
    raise NotImplementedError


def health_check() -> dict[str, Any]:
    """GET /health: 200 only while Redis answers."""
    # TODO 7
    raise NotImplementedError


def stats() -> dict[str, Any]:
    """GET /stats: cache_hits and cache_misses, since the start."""
    # TODO 8; GET /metrics has the same for Prometheus, as plain text.
    raise NotImplementedError


def warm_cache() -> None:
    """At the start: the pairs that are asked for most."""
    # TODO 9
    raise NotImplementedError
