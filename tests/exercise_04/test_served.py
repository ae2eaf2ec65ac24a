"""1,000 payments, served at their own times and logged: equal to a join, and to the truth."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
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
README = (settings.root / "exercise_04_serving" / "README.md").read_text()
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """Yield a shop with exercise 2's export and a model."""
    shop = new_shop(Size(40_000))
    shop.restore()
    with settings_in_force(**shop.settings, stores="plugins"), threadpool_limits(1):
        entities = exercise_2.create_entity_df()
        exercise_2.export_training_data(exercise_2.get_training_data(entities))
        train_model.main()
        yield shop


@dataclass(frozen=True)
class Served:
    """Payments with their inputs at t, the runs they were served by, the scheduled ones, the logs.

    `alive` and `dead` are the solution's logs, `traced` is production's, of the last payments.
    """

    payments: pd.DataFrame
    runs: pd.Series
    scheduled: pd.Series
    alive: pd.DataFrame
    dead: pd.DataFrame
    traced: pd.DataFrame
    model: Model
    quiet: dict[str, float]


@pytest.fixture(scope="module")
def served(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Serve the payments hour by hour; one of the hourly materializations does not happen."""
    folder = tmp_path_factory.mktemp("served")
    rows = pd.read_parquet(settings.data_dir / "training_data.parquet").query("split == 'test'")
    payments = rows.sort_values("event_timestamp").head(PAYMENTS).reset_index(drop=True)
    scheduled = payments["event_timestamp"].map(run_before)
    missed = scheduled.iloc[-TRACED // 2]
    runs = scheduled.where(scheduled != missed, missed - timedelta(hours=1))
    serve(payments, runs, folder)
    reader = FeatureReader(open_store(), main.SERVICE)
    alive, dead, traced = (logged(folder, name) for name in ("alive", "dead", "traced"))
    model, quiet = load_model(settings.model_dir, reader), quiet_values(reader.streaming_features)
    return Served(payments, runs, scheduled, alive, dead, traced, model, quiet)


def serve(payments: pd.DataFrame, runs: pd.Series, folder: Path) -> None:
    """Send each payment at its moment; those of an hour once more while the writer is dead."""
    replay = Replay()
    with ExitStack() as running:
        clock = running.enter_context(clock_of_the_api())
        running.enter_context(cold_start())
        alive, dead, traced = (
            running.enter_context(logging_api(folder, name)) for name in ("alive", "dead", "traced")
        )
        for run, of_run in payments.groupby(runs):
            replay.materialize(run, of_run)
            clock.now = of_run["event_timestamp"].iloc[-1]
            replay.publish(clock.now - timedelta(seconds=MAX_PROGRESS_AGE_S + 1))
            predict(dead, of_run)
            for _, of_users in of_run.groupby(of_run.groupby("user_id").cumcount()):
                replay.stream(of_users)
                for number, moment in of_users["event_timestamp"].items():
                    clock.now = moment
                    replay.publish(moment - settings.streaming_delay)
                    predict(alive, of_users.loc[[number]])
                    if number >= PAYMENTS - TRACED:
                        predict(traced, of_users.loc[[number]])


@contextmanager
def logging_api(folder: Path, name: str) -> Iterator[TestClient]:
    """Yield the solution's API, or production's under the name of `traced`, with a log."""
    with settings_in_force(prediction_log=folder / f"{name}.jsonl"):
        app = create_app(PARTS) if name == "traced" else main.create_app()
        with TestClient(app) as client:
            yield client


def logged(folder: Path, name: str) -> pd.DataFrame:
    """Return the lines of a log in the order of the payments."""
    texts = (file.read_text() for file in folder.glob(f"{name}*.jsonl"))
    log = pd.DataFrame([json.loads(line) for text in texts for line in text.splitlines()])
    return log.sort_values("transaction_id", ignore_index=True)


def inputs_of(log: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(list(log["inputs"])).astype("float64")


def join(
    payments: pd.DataFrame, times: pd.Series, views: Sequence[str], *, by_created: bool = True
) -> pd.DataFrame:
    """Return the features of views for each payment, as of its time in `times`."""
    store = open_store()
    names = exercise_2.service_features(store)
    references = [f"{view}:{name}" for view in views for name in names[view]]
    rows = payments[["user_id", "merchant_id", AMOUNT]].reset_index(drop=True)
    rows = rows.assign(event_timestamp=[*times], row=range(len(rows)))
    job = store.get_historical_features(rows, references, filter_by_created_timestamp=by_created)
    joined = job.to_df().sort_values("row", ignore_index=True)
    return joined[[name for view in views for name in names[view]]].astype("float64")


def share_of_rows(left: pd.DataFrame, right: pd.DataFrame) -> float:
    """Return the share of the rows that differ."""
    is_equal = (left == right) | (left.isna() & right.isna())
    return float(1 - is_equal.all(axis=1).mean())


def scores(model: Model, inputs: pd.DataFrame) -> NDArray[np.float64]:
    return model.score(inputs[[*model.metadata.features]].to_numpy(np.float32))


def pr_auc(served: Served, found: pd.Series | NDArray[np.float64]) -> float:
    return float(average_precision_score(served.payments["is_fraud"], found))


# ---- A dead writer ---------------------------------------------------------------------------


def test_without_a_writer_scores_stay_and_zeros_would_halve_them(served: Served) -> None:
    alive, dead = (log["score"].mean() for log in (served.alive, served.dead))
    unknown = inputs_of(served.dead)
    assert unknown[list(served.quiet)].isna().all(axis=None)
    naive = scores(served.model, unknown.fillna(served.quiet)).mean()
    print(f"mean score, alive {alive:.4f}, dead {dead:.4f}, zeros in its place {naive:.4f}")
    assert f"{alive:.3f} with the writer, {dead:.3f} without it, {naive:.3f} with zeros" in README
    assert 0.75 < dead / alive < 1.25
    assert naive / alive < 0.75


def test_with_a_writer_pr_auc_is_that_of_the_offline_evaluation(served: Served) -> None:
    offline = scores(served.model, served.payments)
    served_pr_auc, offline_pr_auc = (pr_auc(served, s) for s in (served.alive["score"], offline))
    print(f"PR-AUC, served {served_pr_auc:.3f}, offline {offline_pr_auc:.3f}")
    assert served_pr_auc == pytest.approx(offline_pr_auc, abs=0.02)


# ---- Equality --------------------------------------------------------------------------------


def test_a_thousand_logged_requests_equal_the_join_as_of_what_was_served(served: Served) -> None:
    found = inputs_of(served.alive)
    batch = join(served.payments, served.runs, (USER_VIEW, MERCHANT_VIEW, ON_DEMAND))
    times = served.payments["event_timestamp"]
    streaming = join(served.payments, times, [STREAMING_VIEW]).fillna(served.quiet)
    expected = pd.concat([batch, streaming], axis=1)
    expected[AMOUNT] = served.payments[AMOUNT].astype("float64")
    pd.testing.assert_frame_equal(found, expected[found.columns], check_exact=True)
    assert list(served.alive["score"]) == scores(served.model, expected).tolist()


def test_the_hours_delay_changes_many_rows(served: Served) -> None:
    """The join at t has what arrived since the last run; five minutes after it arrives, less."""
    times, views = served.payments["event_timestamp"], (USER_VIEW, MERCHANT_VIEW, ON_DEMAND)
    at_t = join(served.payments, times, views)
    shares = []
    for minutes in (0, 25):
        runs = times.map(partial(run_before, past_the_hour=timedelta(minutes=minutes)))
        as_of_run = join(served.payments, runs, views)
        shares.append(share_of_rows(as_of_run, at_t))
        print(f"run at {minutes} past: {shares[-1]:.0%} of rows differ from the join at t")
    assert shares[0] > 0.3
    assert shares[1] < 0.15
    assert f"{shares[0]:.0%} of them differ".replace("%", " %") in README
    assert f"at 25 past it would be {shares[1]:.0%}".replace("%", " %") in README


def test_productions_log_names_what_was_served_when_a_run_was_missed(served: Served) -> None:
    last = slice(PAYMENTS - TRACED, None)
    payments, found = served.payments[last], inputs_of(served.traced)
    times = pd.DataFrame(list(served.traced["event_times"])).apply(pd.to_datetime, utc=True)
    of_users, of_merchants, of_streams = (
        times[view].fillna(NEVER) for view in (USER_VIEW, MERCHANT_VIEW, STREAMING_VIEW)
    )
    users = join(payments, of_users, (USER_VIEW, ON_DEMAND), by_created=False)
    merchants = join(payments, of_merchants, [MERCHANT_VIEW], by_created=False)
    streaming = join(payments, of_streams + settings.streaming_delay, [STREAMING_VIEW])
    expected = pd.concat([users, merchants, streaming.fillna(served.quiet)], axis=1)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_exact=True)
    by_schedule = join(payments, served.scheduled[last], (USER_VIEW, MERCHANT_VIEW, ON_DEMAND))
    share = share_of_rows(found[by_schedule.columns], by_schedule)
    print(f"one run missed: {share:.0%} of rows differ from the join by the schedule")
    assert share > 0
    assert f"missed: {share:.0%} of {TRACED} rows".replace("%", " %") in README
