"""Past payments, served again at their own times, with the content of Redis at each time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pytest
from fastapi.testclient import TestClient

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY, STREAMING_VIEW
from exercise_05_streaming.windows import features
from feast_plugins.online_reader import OnlineReader
from lab.feature_store import connect_redis, open_store
from lab.settings import settings
from tests.exercise_05.test_history import before, tiles

TABLES = {
    "user_transaction_features": ("user_stats", "user_id"),
    "merchant_risk_features": ("merchant_stats", "merchant_id"),
}


@dataclass
class Clock:
    """The clock of the API."""

    now: datetime
    steps: Iterator[int] = field(default_factory=partial(count, step=2))

    def utc_now(self) -> datetime:
        return self.now

    def time(self) -> float:
        return self.now.timestamp()

    def monotonic(self) -> int:
        """Advance past an interval, so that every periodic query of Redis runs."""
        return next(self.steps)


@contextmanager
def clock_of_the_api() -> Iterator[Clock]:
    """Yield one clock, from which the solution and production take the time."""
    clock = Clock(datetime.now(UTC))
    module = SimpleNamespace(**vars(time) | {"time": clock.time, "monotonic": clock.monotonic})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("app.features", "production.online_reader", "production.local_cache"):
            patch.setattr(f"exercise_04_serving.{name}.time", module)
        for name in ("app.model", "production.prediction_log"):
            patch.setattr(f"exercise_04_serving.{name}.utc_now", clock.utc_now)
        patch.setattr(OnlineReader, "open", partial(OnlineReader.open, now=clock.utc_now))
        yield clock


def run_before(moment: datetime, past_the_hour: timedelta = timedelta()) -> datetime:
    """Return the last of the hourly runs; exercise 3's are at the full hour."""
    return (moment - past_the_hour).replace(minute=0, second=0, microsecond=0) + past_the_hour


def ms_of(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1_000)


class Replay:
    """Writes to Redis the rows of a materialization and of the stream at a given time."""

    def __init__(self) -> None:
        self._store, self._redis = open_store(), connect_redis()
        self._project = self._store.project
        self._transactions = pl.read_parquet(settings.data_dir / "transactions.parquet")
        self._of_user = self._transactions.partition_by("user_id", as_dict=True)
        self._tables = {
            view: pl.read_parquet(settings.data_dir / f"{table}.parquet").sort("event_timestamp")
            for view, (table, _) in TABLES.items()
        }

    def materialize(self, run: datetime, payments: pd.DataFrame) -> None:
        """Write the newest rows that had arrived by a run, of the entities that will be read."""
        for view, (_, key) in TABLES.items():
            arrived = self._tables[view].filter(pl.col("created_timestamp") <= run)
            newest = arrived.filter(pl.col(key).is_in(payments[key].unique().tolist()))
            rows = newest.group_by(key).last().to_pandas()
            self._store.write_to_online_store(view, rows)
            end = arrived["event_timestamp"].max()
            assert isinstance(end, datetime)
            self._redis.hset(f"materialized_until:{self._project}", view, end.isoformat())
        self._redis.incr(f"materialization_runs:{self._project}")

    def stream(self, payments: pd.DataFrame) -> None:
        """Write the windows of users as the writer does, each at the time of its payment."""
        moments = payments["event_timestamp"] - settings.streaming_delay
        written = [
            features(tiles(before(self._of_user[user,], moment)).sort("tile_start"), ms_of(moment))
            .to_pandas()
            .assign(event_timestamp=moment, created_timestamp=moment)
            for user, moment in zip(payments["user_id"], moments, strict=True)
        ]
        rows = pd.concat(written).drop(columns="next_change")
        self._store.write_to_online_store(STREAMING_VIEW, rows)

    def publish(self, progress: datetime) -> None:
        """Publish the progress time."""
        self._redis.set(PROGRESS_KEY, ms_of(progress))


def request_of(payment: pd.Series) -> dict[str, object]:
    """Return the request of a row of exercise 2."""
    names = ["user_id", "merchant_id", "transaction_amount"]
    return {**payment[names], "transaction_id": f"txn_{payment.name:04}"}


def predict(api: TestClient, payments: pd.DataFrame) -> None:
    """Send payments as one batch."""
    body = {"transactions": [request_of(payment) for _, payment in payments.iterrows()]}
    answer = api.post("/predict/batch", json=body)
    assert answer.status_code == 200, answer.text
