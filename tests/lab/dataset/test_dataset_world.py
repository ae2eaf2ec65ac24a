"""The simulated world at its default size, on two seeds: hard enough to learn something from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.single import scan
from exercise_02_pit_training.splits import split_by_time
from lab.dataset import shop
from lab.dataset.draws import key, poisson
from lab.dataset.manifest import Simulation
from lab.dataset.simulate import write_events
from lab.settings import settings

AS_OF = datetime(2026, 3, 2, 9, tzinfo=UTC)
SEEDS = (settings.seed, 1)
HOUR, MINUTE = pd.Timedelta(hours=1), pd.Timedelta(minutes=1)


@dataclass(frozen=True)
class World:
    """The raw tables of one seed, and every payment with its truth in order of user and time."""

    folder: Path

    def read(self, table: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{table}.parquet")

    @cached_property
    def payments(self) -> pd.DataFrame:
        rows = self.read("transactions").merge(
            self.read("truth"), on="transaction_id", validate="one_to_one"
        )
        return rows.sort_values(["user_id", "event_timestamp"], ignore_index=True)

    @property
    def labelled(self) -> pd.DataFrame:
        """Return exercise 2's training rows: mature, after the burn-in, with a label."""
        rows = self.payments
        time = rows["event_timestamp"]
        begin = AS_OF - settings.history + settings.warm_up
        return rows[
            rows["label"].notna() & (time >= begin) & (time < AS_OF - settings.label_maturity)
        ]


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    simulation = Simulation(
        transactions=settings.transactions, seed=request.param, history=settings.history
    )
    write_events(folder, simulation, AS_OF - settings.history, AS_OF)
    return World(folder)


def test_no_simple_feature_reveals_fraud(world: World) -> None:
    scores = scan(world.folder)
    assert len(scores) >= 40
    assert scores.max() < 0.5, scores.head()


def test_look_alikes_leave_the_number_of_payments(world: World) -> None:
    assert len(world.payments) == pytest.approx(settings.transactions, rel=0.05)


def test_a_third_of_honest_payments_has_no_view_and_fraudsters_have_some(world: World) -> None:
    views, payments = world.read("product_views"), world.payments
    seen = pd.merge_asof(
        payments.sort_values("event_timestamp"),
        views.assign(viewed=views["event_timestamp"]),
        on="event_timestamp",
        by=["user_id", "product_id"],
        tolerance=shop.LONGEST_VIEW_HOURS * HOUR,
        allow_exact_matches=False,
    )
    without = seen["viewed"].isna().groupby(seen["is_fraud"]).mean()
    assert 0.28 < without[False] < 0.38
    assert 0.35 < without[True] < 0.75


def test_poisson_counts_have_their_mean_as_their_variance() -> None:
    keys = key("test", 7, np.arange(200_000))
    for rate in (0.0, 0.7, 4.2):
        drawn = poisson(np.full(len(keys), rate), keys, "counts")
        assert drawn.mean() == pytest.approx(rate, abs=0.02)
        assert drawn.var() == pytest.approx(rate, rel=0.02)


def test_honest_users_run_errands_at_a_thiefs_pace(world: World) -> None:
    rows = world.payments[world.payments["kind"] != "retry"]
    same_user = rows["user_id"] == rows["user_id"].shift(-1)
    pause = (rows["event_timestamp"].shift(-1) - rows["event_timestamp"]).where(same_user)
    followed = (rows["kind"] == "purchase") & (rows["kind"].shift(-1) == "errand") & same_user
    share = followed.sum() / (rows["kind"] == "purchase").sum()
    assert share == pytest.approx(0.08, abs=0.01)
    in_errand = pause[rows["kind"].shift(-1) == "errand"].median()
    in_theft = pause[rows["is_fraud"] & rows["is_fraud"].shift(-1, fill_value=False)].median()
    assert in_errand / in_theft == pytest.approx(1, abs=0.15)
    errands = (rows["kind"] == "errand").sum() / followed.sum()
    assert 1.9 < errands < 2.2  # one to three


def test_honest_users_retry_most_declined_payments(world: World) -> None:
    rows = world.payments
    honest = rows[~rows["is_fraud"]]
    same = ["user_id", "merchant_id", "product_id", "amount"]
    later = honest.groupby(same)["event_timestamp"].shift(-1) - honest["event_timestamp"]
    retried = (later < 5 * MINUTE)[~honest["is_approved"]].mean()
    assert retried == pytest.approx(0.7, abs=0.04)


def test_no_user_dominates(world: World) -> None:
    """The effective number of users: how many of equal activity would give the same variance."""
    payments = world.labelled["user_id"].value_counts()
    assert payments.sum() ** 2 / (payments**2).sum() >= 900


def test_the_test_window_has_enough_thefts(world: World) -> None:
    rows = world.labelled
    everything = pd.Series(True, index=rows.index)
    split = split_by_time(rows["event_timestamp"], everything, settings.label_maturity)
    frauds = rows[(split == "test") & (rows["label"] == 1)]
    pause = frauds.groupby("user_id")["event_timestamp"].diff()
    thefts = pause.isna() | (pause > HOUR)
    assert thefts.sum() >= 100


def test_labels_are_what_is_known_at_the_as_of(world: World) -> None:
    rows = world.payments.merge(
        world.read("chargebacks")[["transaction_id", "event_timestamp"]],
        on="transaction_id",
        how="left",
        suffixes=("", "_chargeback"),
    )
    charged_back = rows["event_timestamp_chargeback"]
    matured = rows["event_timestamp"] + settings.label_maturity
    expected = matured.where(matured < AS_OF).where(charged_back.isna(), charged_back)
    expected = expected.where(rows["is_approved"])
    assert rows["label_timestamp"].equals(expected)
    assert rows["label"].isna().equals(expected.isna())
    assert (rows["label"] == 1).equals(charged_back.notna())
    assert rows.loc[charged_back.notna(), ["is_fraud", "is_approved"]].all(axis=None)


def test_some_frauds_are_never_charged_back_and_some_late(world: World) -> None:
    rows = world.payments
    last = AS_OF - timedelta(days=shop.LATE_CHARGEBACK_DAYS[1])
    old = rows[rows["is_fraud"] & rows["is_approved"] & (rows["event_timestamp"] < last)]
    assert (old["label"] == 0).mean() == pytest.approx(0.08, abs=0.025)
    found = old[old["label"] == 1]
    delay = found["label_timestamp"] - found["event_timestamp"]
    assert (delay > timedelta(days=30)).mean() == pytest.approx(0.05, abs=0.02)
    assert (delay > settings.label_maturity).mean() == (delay > timedelta(days=30)).mean()


def test_volume_follows_weekdays_and_month_ends(world: World) -> None:
    days = world.payments["event_timestamp"].dt.floor("D").value_counts().sort_index().iloc[1:-1]
    later = days.index + timedelta(days=3)
    is_month_end = pd.Series(later.month != days.index.month, index=days.index)
    by_weekday = days[~is_month_end].groupby(lambda day: day.weekday()).mean()
    assert by_weekday[[4, 5]].min() > 1.1 * by_weekday[[0, 1, 2]].max()
    assert by_weekday[5] > 1.2 * by_weekday[6]
    usual = days / by_weekday[days.index.weekday].to_numpy()
    assert usual[is_month_end].mean() == pytest.approx(1.25, abs=0.06)
