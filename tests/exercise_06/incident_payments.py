"""Payments of a small shop with a model, and the incidents that are replayed in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

DAY = timedelta(days=1)
A_DAY, THRESHOLD = 600, 0.5


def payments(start: datetime, days: float, seed: int) -> pd.DataFrame:
    """Payments of 2,000 users: frauds pay many times their mean, and lie within five minutes."""
    random = np.random.default_rng(seed)
    rows = round(A_DAY * days)
    is_fraud = (random.random(rows) < 0.03).astype(int)
    ratio = random.lognormal(1.2 * is_fraud - 0.2, 0.6)
    columns = {
        "user_id": random.integers(0, 2_000, rows).astype(str),
        "event_timestamp": start + pd.to_timedelta(np.sort(random.uniform(0, days, rows)), "D"),
        "ratio": ratio,
        "amount": random.lognormal(3, 0.8, rows) * ratio,
        "burst": random.poisson(3.0 * is_fraud),
        "is_fraud": is_fraud,
    }
    return pd.DataFrame(columns)


def score(rows: pd.DataFrame) -> np.ndarray:
    """A model: payments above the user's mean, several in five minutes."""
    return np.asarray(1 / (1 + np.exp(5 - rows["ratio"] - 1.5 * rows["burst"])))


def flagged(rows: pd.DataFrame, now: datetime) -> pd.Series:
    day = ((now - rows["event_timestamp"]) // DAY).to_numpy()
    return pd.Series(score(rows) >= THRESHOLD).groupby([day, rows["user_id"].to_numpy()]).max()


@dataclass(frozen=True)
class Incident:
    """A change of the payments, or a broken service, between two days of the replay."""

    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    begin: float = 10
    days: float = 20
    breaks: str = ""  # writer, redis or api
    is_one: bool = True


def like_customers(rows: pd.DataFrame) -> pd.DataFrame:
    """Fraudsters pay what other customers pay, and once."""
    is_fraud, columns = rows["is_fraud"] == 1, ["ratio", "amount", "burst"]
    rows.loc[is_fraud, columns] = rows.loc[~is_fraud, columns].head(is_fraud.sum()).to_numpy()
    return rows


def lose_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.index % 5 < 2]


def raise_prices(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(amount=rows["amount"] * 1.44)


INCIDENTS = {
    "dead streaming writer": Incident(breaks="writer"),
    "fraudsters like customers": Incident(like_customers),
    "dead API": Incident(breaks="api"),
    "flushed Redis": Incident(breaks="redis"),
    "60 % of the rows lost": Incident(lose_rows),
    "three hours of nulls": Incident(lambda rows: rows.assign(amount=np.nan), days=1 / 8),
    "prices up 44 % (none)": Incident(raise_prices, days=80, is_one=False),
    "echo of an old incident (none)": Incident(lose_rows, begin=-10, days=7, is_one=False),
}
