"""Replay incidents in memory through the monitor's own checks, and print the sent alerts.

python -m tests.exercise_06.incidents [days]. A run is every six hours; the incident begins on the
fifth day and lasts. Nothing is written but the state of the alerts.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from exercise_06_monitoring import feature_monitoring, serving, state
from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import (
    check_data_quality,
    drift_since_training,
)
from exercise_06_monitoring.production.outcomes import Outcome, compare, evaluate
from exercise_06_monitoring.production.volume import check_volume
from exercise_06_monitoring.quality import check_columns
from exercise_06_monitoring.report import drift_checks
from exercise_06_monitoring.serving import check_api, check_flagged_users, check_streaming
from exercise_06_monitoring.state import AlertState, check_measured
from tests.settings_in_force import settings_in_force
from tests.shop import AS_OF

DAY, EVERY = timedelta(days=1), timedelta(hours=6)
BEGINS = 5  # days after the first run
A_DAY, THRESHOLD = 600, 0.5
VIEW = SimpleNamespace(name="user_stats", join_keys=["user_id"], features=[])
METADATA = {"features": ["ratio", "amount"], "threshold": THRESHOLD}


def payments(start: datetime, days: float, seed: int) -> pd.DataFrame:
    """Payments of 2,000 users: frauds pay many times their mean, and lie within five minutes."""
    random = np.random.default_rng(seed)
    rows = round(A_DAY * days)
    is_fraud = (random.random(rows) < 0.03).astype(int)
    usual = random.lognormal(3, 0.8, rows)
    ratio = random.lognormal(1.2 * is_fraud - 0.2, 0.6)
    return pd.DataFrame(
        {
            "user_id": random.integers(0, 2_000, rows).astype(str),
            "event_timestamp": start + pd.to_timedelta(random.uniform(0, days, rows), "D"),
            "ratio": ratio,
            "amount": usual * ratio,
            "burst": random.poisson(3.0 * is_fraud),
            "is_fraud": is_fraud,
        }
    )


def score(rows: pd.DataFrame) -> np.ndarray:
    """A model: payments above the user's mean, several in five minutes."""
    return np.asarray(1 / (1 + np.exp(5 - rows["ratio"] - 1.5 * rows["burst"])))


def flagged(rows: pd.DataFrame, now: datetime) -> pd.Series:
    day = ((now - rows["event_timestamp"]) // DAY).to_numpy()
    found = pd.Series(score(rows) >= THRESHOLD)
    return found.groupby([day, rows["user_id"].to_numpy()]).max()


@dataclass
class World:
    """The data that the monitor can read at a run, and the model's actual inputs."""

    now: datetime
    history: pd.DataFrame  # all payments until now, as the offline store has them
    progress_age_s: float | None = 5
    api_answers: bool = True
    served: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda rows: rows)


Incident = Callable[[World, datetime], None]


def dead_writer(world: World, begin: datetime) -> None:
    world.progress_age_s = (world.now - begin).total_seconds()
    world.served = lambda rows: rows.assign(burst=0)


def customers(world: World, begin: datetime) -> None:
    """Fraudsters pay what their victims pay, and once."""
    is_new = (world.history["event_timestamp"] > begin) & (world.history["is_fraud"] == 1)
    quiet = payments(begin, len(world.history) / A_DAY, 77).query("is_fraud == 0")
    for name in ("ratio", "amount", "burst"):
        values = quiet[name].to_numpy()[: int(is_new.sum())]
        world.history.loc[is_new, name] = values


def dead_api(world: World, begin: datetime) -> None:
    world.api_answers = False


def flushed_redis(world: World, begin: datetime) -> None:
    world.progress_age_s = None


def rows_lost(world: World, begin: datetime) -> None:
    keep = (world.history["event_timestamp"] < begin) | (world.history.index % 5 < 2)
    world.history = world.history[keep]


def three_hours_of_nulls(world: World, begin: datetime) -> None:
    time = world.history["event_timestamp"]
    is_null = (time > begin) & (time < begin + timedelta(hours=3))
    world.history.loc[is_null, "amount"] = np.nan


def prices_up(world: World, begin: datetime) -> None:
    is_new = world.history["event_timestamp"] > begin
    world.history.loc[is_new, "amount"] *= 1.44


def old_echo(world: World, begin: datetime) -> None:
    """Lose a day three weeks ago, and repair it."""
    age = world.now - world.history["event_timestamp"]
    world.history = world.history[(age < 20 * DAY) | (age > 21 * DAY)]


INCIDENTS: dict[str, Incident] = {
    "dead streaming writer": dead_writer,
    "fraudsters like customers": customers,
    "dead API": dead_api,
    "flushed Redis": flushed_redis,
    "60 % of the rows lost": rows_lost,
    "three hours of nulls": three_hours_of_nulls,
    "prices up 44 % (none)": prices_up,
    "echo of an old incident (none)": old_echo,
}


def checks_of(world: World, training: pd.DataFrame, usual: Outcome) -> Iterator[Check]:
    """Yield the checks of a run over the world."""
    now, rows = world.now, world.history
    answers = Counter({f"{serving.RESPONSES} 200": round(now.timestamp())})
    stored = world.progress_age_s and (now.timestamp() - world.progress_age_s) * 1_000
    client = SimpleNamespace(get=lambda _: stored)
    with (
        patch.object(serving, "read_counts", lambda: answers if world.api_answers else None),
        patch.object(serving, "compare_with_limits", lambda *_: iter(())),
        patch.object(serving, "Redis", lambda *_, **__: client),
        patch.object(serving, "flagged_users", flagged),
        patch.object(feature_monitoring, "read_views", lambda: [VIEW]),
        patch.object(feature_monitoring, "read_model", lambda: METADATA),
    ):
        yield from [*check_api(), check_streaming(now)]
        day = rows[rows["event_timestamp"] > now - DAY]
        new = day[day["event_timestamp"] > now - EVERY]
        yield from check_columns(VIEW, check_data_quality(day[["amount"]]), new)
        if now.hour == AS_OF.hour:  # to save time
            yield from daily_checks(now, rows, training, usual)


def daily_checks(
    now: datetime, rows: pd.DataFrame, training: pd.DataFrame, usual: Outcome
) -> Iterator[Check]:
    age = now - rows["event_timestamp"]
    week, mature = rows[age < 7 * DAY], rows[(age > 7 * DAY) & (age < 14 * DAY)]
    yield check_flagged_users(training, week, now)
    yield from drift_checks(drift_since_training(training, week))
    yield check_volume(VIEW, rows["event_timestamp"], now)
    yield compare(outcome_of(mature), usual)


def outcome_of(rows: pd.DataFrame) -> Outcome:
    return evaluate(rows.assign(score=score(rows)), THRESHOLD)


@dataclass
class Outbox:
    """The sent messages with their times."""

    now: datetime = AS_OF
    sent: list[tuple[datetime, Check]] = field(default_factory=list)

    def notify(self, check: Check) -> bool:
        self.sent.append((self.now, check))
        return True


def replay(incident: Incident, days: int, seed: int = 7) -> dict[str, Any]:
    """Return the PR-AUC of the served values, and the monitor's messages with their times."""
    begin = AS_OF + BEGINS * DAY
    training = payments(AS_OF - 120 * DAY, 60, seed)
    is_train = training["event_timestamp"] < AS_OF - 90 * DAY
    training["split"] = np.where(is_train, "train", "test")
    usual = outcome_of(training[training["split"] == "test"])
    future = payments(AS_OF - 40 * DAY, 40 + days, seed + 1)
    outbox = Outbox()
    with TemporaryDirectory() as folder, settings_in_force(data_dir=Path(folder)):
        for now in pd.date_range(AS_OF, AS_OF + days * DAY, freq=EVERY):
            world = World(now, future[future["event_timestamp"] <= now].copy())
            if now > begin:
                incident(world, begin)
            checks, outbox.now = list(checks_of(world, training, usual)), now
            with patch.object(state, "notify", outbox.notify):
                AlertState().update([*checks, *check_measured(checks)], now)
    sent = outbox.sent
    after = world.served(world.history[world.history["event_timestamp"] > begin])
    alerts = [(now, check) for now, check in sent if not check.passed]
    first = min((now for now, _ in alerts if now > begin), default=None)
    return {
        "PR-AUC": average_precision_score(after["is_fraud"], score(after)),
        "seen by": ", ".join(sorted({f"{c.type}: {c.feature}" for _, c in alerts})),
        "after hours": None if first is None else (first - begin) / timedelta(hours=1),
        "pages": sum(check.severity == "critical" for _, check in alerts),
        "warnings": sum(check.severity == "warning" for _, check in alerts),
        "resolved": len(sent) - len(alerts),
    }


if __name__ == "__main__":
    days = int(sys.argv[1]) if sys.argv[1:] else 20
    for name, incident in INCIDENTS.items():
        print(name, replay(incident, days), flush=True)
