"""Exercise 4: an API that predicts fraud from features in Redis, in less than 15 ms.

The grader starts it in exercise_04_serving, by `uvicorn app.main:app` on a port of its choice.
"""

from typing import Any

from lab.learn import open_store, settings  # noqa: F401  # for TODO 1

# TODO 1: open_store() once for all requests; the cache, in database 1 of settings.redis_address.
# TODO 2: models of the requests and responses, with pydantic.


async def get_features_cached(user_id: str, merchant_id: str) -> dict[str, float]:
    """Return the stored features of a pair, from the cache or from the online store."""
    # TODO 3: count hits and misses where they happen; an entity without features gives None.
    raise NotImplementedError


def compute_on_demand_features(
    features: dict[str, float], transaction_amount: float
) -> dict[str, float]:
    """Return amount_vs_avg_ratio, is_large_transaction and transaction_velocity."""
    # TODO 4: compute them as exercise 1's on-demand view does.
    raise NotImplementedError


async def predict_fraud(request: Any) -> dict[str, Any]:
    """POST /predict: return the prediction, its probability, and the features behind it."""
    # TODO 5: train a model on exercise 2's export, and load it once.
    raise NotImplementedError


async def predict_fraud_batch(request: Any) -> dict[str, Any]:
    """POST /predict/batch: return 1 to 100 predictions, in the order of the request."""
    # TODO 6: one read of the online store for the whole batch.
    raise NotImplementedError


async def health_check() -> dict[str, Any]:
    """GET /health: 200 only while Redis answers."""
    # TODO 7: read features as a prediction does.
    raise NotImplementedError


async def stats() -> dict[str, Any]:
    """GET /stats: return cache_hits and cache_misses since the start."""
    # TODO 8: count with prometheus_client.
    raise NotImplementedError


async def metrics() -> str:
    """GET /metrics: return the same counts in Prometheus's text format, not as JSON."""
    # TODO 9: generate_latest, with its content type.
    raise NotImplementedError


async def warm_cache() -> None:
    """Load the users and merchants with most payments when the API starts."""
    # TODO 10: count neither hits nor misses.
    raise NotImplementedError


# TODO 11: app = FastAPI(), with a route for each function.
