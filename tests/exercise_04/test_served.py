"""1,000 payments, served at their own moments and logged: equal to a join, and to what is true."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from exercise_01_setup.feature_repo.missing_values import MAX_PROGRESS_AGE_S, quiet_values
from exercise_02_pit_training import generate_training_data as exercise_2
from exercise_04_serving import train_model
from exercise_04_serving.app import main
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, Model, load_model
from exercise_04_serving.production.parts import create_app
from lab.feature_store import open_store
from lab.settings import settings
from tests.exercise_04.replay import Replay, clock_of_the_api, predict, run_before
from tests.exercise_04.serving_shop import STREAMING_VIEW, cold_start
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size

PAYMENTS, TRACED = 1_000, 250
USER_VIEW, MERCHANT_VIEW, ON_DEMAND = (
    *("user_transaction_features", "merchant_risk_features", "transaction_request_features"),
)
PARTS = ("local_cache", "fast_route", "prediction_log")
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """A shop with exercise 2's export and a model."""
    shop = new_shop(Size(40_000))
    shop.restore()
    with settings_in_force(**shop.settings, stores="plugins"), threadpool_limits(1):
        entities = exercise_2.create_entity_df()
        exercise_2.export_training_data(exercise_2.get_training_data(entities))
        train_model.main()
        yield shop


@dataclass(frozen=True)
class Served:
    """The payments with their inputs at t, and the logs: alive, without a writer, production's."""

    payments: pd.DataFrame
    alive: pd.DataFrame
    dead: pd.DataFrame
    traced: pd.DataFrame
    model: Model
    streaming: list[str]

    @property
    def runs(self) -> pd.Series:
        """The run before each payment, by the schedule."""
        return self.payments["event_timestamp"].map(run_before)


@pytest.fixture(scope="module")
def served(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Serve the payments, by production only the last; one of its runs does not happen."""
    folder = tmp_path_factory.mktemp("served")
    rows = pd.read_parquet(settings.data_dir / "training_data.parquet").query("split == 'test'")
    payments = rows.sort_values("event_timestamp").head(PAYMENTS).reset_index(drop=True)
    replay, runs = Replay(), payments["event_timestamp"].map(run_before)
    missed = runs.iloc[-TRACED // 2]
    with ExitStack() as running:
        clock = running.enter_context(clock_of_the_api())
        running.enter_context(cold_start())
        alive, dead, traced = (
            running.enter_context(api)
            for api in (opened(folder / name) for name in ("alive", "dead", "traced"))
        )
        for run, of_run in payments.groupby(runs):
            if run != missed:
                replay.materialize(run, of_run)
            clock.now = of_run["event_timestamp"].iloc[-1]
            replay.publish(clock.now - timedelta(seconds=MAX_PROGRESS_AGE_S + 1))
            predict(dead, of_run)
            for number, payment in of_run.iterrows():
                clock.now = payment["event_timestamp"]
                replay.stream(payment["user_id"], clock.now)
                predict(alive, of_run.loc[[number]])
                if number >= PAYMENTS - TRACED:
                    predict(traced, of_run.loc[[number]])
    reader = FeatureReader(open_store(), main.SERVICE)
    logs = (lines(folder / name) for name in ("alive", "dead", "traced"))
    model = load_model(settings.model_dir, reader)
    return Served(payments, *logs, model, reader.streaming_features)
