"""Lower bound of a Python service with one read: a model in, a Redis GET, a model out.

Start it by `uvicorn benchmarks.harness.bare_get:app`; LAB_REDIS_PORT is the port of Redis.
"""

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

from lab.settings import settings

KEY = "bare_get:{user_id}"

app = FastAPI()
redis = Redis(host=settings.host, port=settings.redis_port)


class Payment(BaseModel):
    """A request, in the form of our service's."""

    user_id: str
    merchant_id: str
    transaction_amount: float


class FeatureValue(BaseModel):
    """The value in Redis."""

    user_id: str
    value: str | None


@app.post("/predict", response_model=FeatureValue)
async def get(payment: Payment) -> FeatureValue:
    value = await redis.get(KEY.format(user_id=payment.user_id))
    return FeatureValue(user_id=payment.user_id, value=value)
