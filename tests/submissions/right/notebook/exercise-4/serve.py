"""An API of Python's own HTTP server: a thread for each connection, a dictionary as the cache."""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import joblib
import redis
from feast import FeatureStore

STORED = {
    "user_transaction_features": [
        "transaction_count_7d",
        "transaction_count_30d",
        "avg_transaction_amount",
    ],
    "merchant_risk_features": ["chargeback_rate", "total_transactions_30d"],
}
FRESH_S = 300
MOST = 100

store = FeatureStore(repo_path=os.environ["LAB_FEATURE_REPO"])
client = redis.Redis(port=int(os.environ["LAB_REDIS_PORT"]), socket_timeout=1)
model = joblib.load("models/fraud_detector.pkl")
cache, lock = {}, threading.Lock()
counts = {"cache_hits": 0, "cache_misses": 0}


def stored_features(user, merchant):
    found, until = cache.get((user, merchant), (None, 0))
    is_hit = time.monotonic() < until
    with lock:
        counts["cache_hits" if is_hit else "cache_misses"] += 1
    if is_hit:
        return found
    names = [f"{view}:{name}" for view, features in STORED.items() for name in features]
    row = {"user_id": user, "merchant_id": merchant}
    answer = store.get_online_features(features=names, entity_rows=[row]).to_dict()
    found = {name: values[0] or 0 for name, values in answer.items() if name not in row}
    cache[user, merchant] = found, time.monotonic() + FRESH_S
    return found


def predict(payment):
    user, merchant = payment["user_id"], payment["merchant_id"]
    amount = float(payment["transaction_amount"])
    if amount <= 0:
        raise ValueError("transaction_amount is not positive")
    live = {name.decode(): float(value) for name, value in client.hgetall(f"live:{user}").items()}
    found = {**live, **stored_features(user, merchant)}
    average = found["avg_transaction_amount"]
    found["amount_vs_avg_ratio"] = amount / average if average else 0
    found["is_large_transaction"] = int(amount > 2 * average)
    found["transaction_velocity"] = found["transaction_count_30d"] / 30
    names = STORED["user_transaction_features"] + ["chargeback_rate", "amount_vs_avg_ratio"]
    inputs = [found[name] for name in [*names, "transaction_velocity"]] + [amount]
    probability = float(model.predict_proba([inputs])[0, 1])
    verdict = {"is_fraud": probability > 0.5, "fraud_probability": probability}
    return {"user_id": user, "merchant_id": merchant, **verdict, "features": found}


def predict_all(batch):
    payments = batch["transactions"]
    if not 1 <= len(payments) <= MOST:
        raise ValueError(f"1 to {MOST} transactions")
    return {"predictions": [predict(payment) for payment in payments]}


def health():
    try:
        client.ping()
    except redis.RedisError:
        return 503, {"status": "down"}
    return 200, {"status": "ok"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/health":
            self.answer(*health())
        elif self.path == "/stats":
            self.answer(200, counts)
        else:
            self.answer(404, {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.answer(200, predict(asked) if self.path == "/predict" else predict_all(asked))
        except (KeyError, ValueError) as error:
            self.answer(422, {"detail": str(error)})
        except redis.RedisError:
            self.answer(503, {"detail": "no features"})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


if __name__ == "__main__":
    threading.stack_size(2**19)  # a thousand threads of 8 MiB each are too large
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
