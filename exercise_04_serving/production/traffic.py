"""The payments that a load test sends: real ids, a few of which come again and again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.errors import UserError
from lab.settings import settings

SKEW = 1.0


@dataclass(frozen=True)
class Traffic:
    """Ids of users and of merchants, the busiest first, and the amounts that were really paid.

    The id of rank r is drawn in proportion to 1 / r**SKEW, Zipf's law: a cache that holds a few
    ids then answers most requests, as it would for real customers.
    """

    users: Sequence[str]
    merchants: Sequence[str]
    amounts: Sequence[float]
    seed: int = settings.seed

    @classmethod
    def of_dataset(cls, folder: Path | None = None, seed: int = settings.seed) -> "Traffic":
        """Those of transactions.parquet in `folder`, by default the lab's; UserError without it."""
        file = (folder or settings.data_dir) / "transactions.parquet"
        if not file.exists():
            raise UserError(f"there are no payments to send: {file} is missing", "lab run 1")
        paid = pd.read_parquet(file, columns=["user_id", "merchant_id", "amount"])
        users, merchants = (
            list(paid[key].value_counts().index) for key in ("user_id", "merchant_id")
        )
        return cls(users, merchants, paid.loc[paid["amount"] > 0, "amount"].tolist(), seed)

    def payments(self, count: int) -> list[dict[str, Any]]:
        """`count` bodies of POST /predict; the same at each call."""
        random = np.random.default_rng(self.seed)
        users, merchants = (_draw(random, ids, count) for ids in (self.users, self.merchants))
        amounts = random.choice(self.amounts, count).tolist()
        return [
            {"user_id": user, "merchant_id": merchant, "transaction_amount": amount}
            for user, merchant, amount in zip(users, merchants, amounts, strict=True)
        ]


def _draw(random: np.random.Generator, ids: Sequence[str], count: int) -> list[str]:
    weights = np.arange(1, len(ids) + 1) ** -SKEW
    return [ids[place] for place in random.choice(len(ids), count, p=weights / weights.sum())]


def packed(payments: Sequence[dict[str, Any]]) -> list[bytes]:
    """The payments as JSON, ready to be sent: a client under load has no time for it."""
    return [json.dumps(payment).encode() for payment in payments]


def headers() -> dict[str, str]:
    """What each request carries: the type of its body, and the API key where one is set."""
    key = settings.api_key
    credentials = {"X-API-Key": key.get_secret_value()} if key else {}
    return {"Content-Type": "application/json", **credentials}
