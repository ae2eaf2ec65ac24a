import joblib
import redis
from fastapi import FastAPI
from feast import FeatureStore
from pydantic import BaseModel

app = FastAPI()
store = FeatureStore(repo_path="/opt/feature_repo")
cache = redis.Redis(host="localhost", port=6379, db=1)
model = joblib.load("models/fraud_detector.pkl")


class Payment(BaseModel):
    user_id: str
    merchant_id: str
    transaction_amount: float


@app.post("/predict")
async def predict(payment: Payment):
    features = store.get_online_features(
        features=["user_transaction_features:transaction_count_7d"],
        entity_rows=[{"user_id": payment.user_id, "merchant_id": payment.merchant_id}],
    ).to_dict()
    return {"features": features, "fraud_probability": model.predict_proba([features])[0][1]}


@app.get("/health")
async def health():
    return {"status": "healthy" if cache.ping() else "unhealthy"}
