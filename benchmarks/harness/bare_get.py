"""The least that a service in Python with one read costs: a model in, a Redis GET, a model out.

Started by `uvicorn benchmarks.harness.bare_get:app`; LAB_REDIS_PORT says where Redis is.
"""

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

from lab.settings import settings

KEY = "bare_get:{user_id}"

app = FastAPI()
redis = Redis(host=settings.host, port=settings.redis_port)


class Payment(BaseModel):
    """What our service takes too."""

    user_id: str
    merchant_id: str
    transaction_amount: float


class Held(BaseModel):
    """What Redis holds."""

    user_id: str
    value: str | None


@app.post("/predict", response_model=Held)
async def get(payment: Payment) -> Held:
    value = await redis.get(KEY.format(user_id=payment.user_id))
    return Held(user_id=payment.user_id, value=value)
