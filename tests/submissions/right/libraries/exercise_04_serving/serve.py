"""An API of aiohttp: one class per resource, features by entity in a cache of this process."""

import argparse
import asyncio
import os
from dataclasses import dataclass, field
from threading import Lock

import joblib
import numpy as np
import redis
from aiohttp import web
from cachetools import TTLCache
from feast import FeatureStore

USER = {
    "transaction_count_7d": "transaction_count_7d",
    "transaction_count_30d": "transaction_count_30d",
    "mean_amount": "avg_transaction_amount",
}
MERCHANT = {name: name for name in ("chargeback_rate", "total_transactions_30d")}
MODEL_INPUTS = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
    "amount_vs_avg_ratio",
    "transaction_velocity",
)
BATCH_LIMIT = 100


@dataclass
class Features:
    """Stored features by entity, cached for five minutes; streaming features at each call."""

    store: FeatureStore
    client: redis.Redis
    cache: TTLCache = field(default_factory=lambda: TTLCache(maxsize=100_000, ttl=300))
    lock: Lock = field(default_factory=Lock)  # of the cache and its counts
    hits: int = 0
    misses: int = 0

    def read(self, user, merchant):
        live = self.client.hgetall(f"live:{user}")
        stored = self.from_cache(user, merchant)
        if stored is None:
            stored = self.from_feast(user, merchant)
            with self.lock:
                self.cache[user, merchant] = stored
        return stored | {name.decode(): float(value) for name, value in live.items()}

    def from_cache(self, user, merchant):
        with self.lock:
            found = self.cache.get((user, merchant))
            self.hits += found is not None
            self.misses += found is None
        return found

    def from_feast(self, user, merchant):
        names = [f"user_transaction_features:{name}" for name in USER]
        names += [f"merchant_risk_features:{name}" for name in MERCHANT]
        row = {"customer_id": user, "merchant_id": merchant}
        found = self.store.get_online_features(features=names, entity_rows=[row]).to_dict()
        return {ours: found[theirs][0] for theirs, ours in (USER | MERCHANT).items()}


class Scorer:
    """The model, and the features that it derives from a request."""

    def __init__(self, features):
        self.features = features
        self.model = joblib.load("models/fraud_detector.pkl")

    def score(self, payments):
        """Score a list of payments in one call of the model."""
        rows = [self.inputs(payment) for payment in payments]
        matrix = np.array([[row[name] or 0 for name in MODEL_INPUTS] for row in rows], dtype=float)
        amounts = np.array([[payment["transaction_amount"]] for payment in payments], dtype=float)
        scores = self.model.predict_proba(np.hstack([matrix, amounts]))[:, 1]
        return [
            {
                "user_id": payment["user_id"],
                "merchant_id": payment["merchant_id"],
                "is_fraud": bool(score > 0.5),
                "fraud_probability": float(score),
                "features": row,
            }
            for payment, row, score in zip(payments, rows, scores, strict=True)
        ]

    def inputs(self, payment):
        row = self.features.read(payment["user_id"], payment["merchant_id"])
        average, amount = row["avg_transaction_amount"], payment["transaction_amount"]
        return row | {
            "amount_vs_avg_ratio": amount / average if average else None,
            "is_large_transaction": int(amount > 2 * average) if average else None,
            "transaction_velocity": (row["transaction_count_30d"] or 0) / 30,
        }


def checked(payment):
    """Return the payment if it has two ids and a positive amount."""
    is_text = all(isinstance(payment.get(name), str) for name in ("user_id", "merchant_id"))
    if not is_text or not float(payment.get("transaction_amount", 0)) > 0:
        raise web.HTTPUnprocessableEntity(reason="user_id, merchant_id, transaction_amount > 0")
    return payment


class Predict(web.View):
    async def post(self):
        payment = checked(await self.request.json())
        (answer,) = await asyncio.to_thread(self.request.app["scorer"].score, [payment])
        return web.json_response(answer)


class PredictBatch(web.View):
    async def post(self):
        payments = [checked(each) for each in (await self.request.json())["transactions"]]
        if not 1 <= len(payments) <= BATCH_LIMIT:
            raise web.HTTPUnprocessableEntity(reason=f"1 to {BATCH_LIMIT} transactions")
        answers = await asyncio.to_thread(self.request.app["scorer"].score, payments)
        return web.json_response({"predictions": answers})


class Health(web.View):
    async def get(self):
        await asyncio.to_thread(self.request.app["scorer"].features.client.ping)
        return web.json_response({"status": "ok"})


class Stats(web.View):
    async def get(self):
        features = self.request.app["scorer"].features
        return web.json_response({"cache_hits": features.hits, "cache_misses": features.misses})


@web.middleware
async def redis_errors(request, handler):
    try:
        return await handler(request)
    except redis.RedisError as error:
        return web.json_response({"status": "down", "detail": str(error)}, status=503)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    store = FeatureStore(repo_path=os.environ["LAB_FEATURE_REPO"])
    client = redis.Redis(port=int(os.environ["LAB_REDIS_PORT"]), socket_timeout=1)
    app = web.Application(middlewares=[redis_errors])
    app["scorer"] = Scorer(Features(store, client))
    paths = {"/predict": Predict, "/predict/batch": PredictBatch, "/health": Health}
    for path, view in {**paths, "/stats": Stats}.items():
        app.router.add_view(path, view)
    web.run_app(app, host="127.0.0.1", port=parser.parse_args().port, backlog=2048)


if __name__ == "__main__":
    main()
