"""Replay 90 days with an incident in memory, and print what two monitors report of it.

python -m tests.exercise_06.incidents [days]. This project's monitor runs every six hours, with its
production parts and Alertmanager; the one of tests/submissions/right/plain runs daily.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from exercise_06_monitoring import feature_monitoring, serving
from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.feature_monitoring import check_data_quality, drift_since_training
from exercise_06_monitoring.production.alertmanager import Alertmanager
from exercise_06_monitoring.production.outcomes import FEWEST_FRAUDS, Outcome, compare, evaluate
from exercise_06_monitoring.production.volume import check_volumes
from exercise_06_monitoring.quality import check_columns
from exercise_06_monitoring.report import drift_checks
from exercise_06_monitoring.serving import check_api, check_flagged_users, check_streaming
from exercise_06_monitoring.state import check_measured
from lab.learn import utc_now
from tests.exercise_06.incident_payments import (
    DAY,
    INCIDENTS,
    THRESHOLD,
    Incident,
    flagged,
    payments,
    score,
)
from tests.settings_in_force import settings_in_force
from tests.shop import AS_OF

EVERY = timedelta(hours=6)
HISTORY = 61 * DAY
VIEW = SimpleNamespace(name="payments", join_keys=["user_id"], features=[])
METADATA = {"features": ["ratio", "amount"], "threshold": THRESHOLD}
PLAIN = "tests.submissions.right.plain.exercise_06_monitoring.feature_monitoring"
RAM = Path("/dev/shm")  # SQLite waits for a disk at every statement

Run = Callable[[pd.DataFrame, datetime, str, datetime], None]  # what is broken, and since when


@dataclass
class Inbox:
    """The messages of a monitor with their times; Alertmanager's first and last of each alert."""

    now: datetime = AS_OF
    firing: set[tuple[str, str]] = field(default_factory=set)
    messages: list[tuple[datetime, str, str]] = field(default_factory=list)

    def post(self, alerts: list[dict[str, Any]]) -> bool:
        for labels, ends_at in ((alert["labels"], alert["endsAt"]) for alert in alerts):
            key = (f"{labels['alertname']}: {labels['feature']}", labels["severity"])
            is_firing = datetime.fromisoformat(ends_at) > utc_now()
            if is_firing != (key in self.firing):
                self.firing ^= {key}
                self.messages.append((self.now, key[0], key[1] if is_firing else "resolved"))
        return True


def this_monitor(inbox: Inbox, training: pd.DataFrame) -> Run:
    """Return a run of the checks of exercise 6 and its production parts."""
    alerts, usual = Alertmanager(""), outcome_of(training[training["split"] == "test"])

    def run(rows: pd.DataFrame, now: datetime, broken: str, since: datetime) -> None:
        answers = Counter({f"{serving.RESPONSES} 200": round(now.timestamp())})
        progress = (since if broken == "writer" else now).timestamp() * 1_000
        client = SimpleNamespace(get=lambda _: None if broken == "redis" else progress)
        with (
            patch.object(serving, "read_counts", lambda: None if broken == "api" else answers),
            patch.object(serving, "compare_with_limits", lambda *_: iter(())),
            patch.object(serving, "Redis", lambda *_, **__: client),
            patch.object(serving, "flagged_users", flagged),
            patch.object(feature_monitoring, "read_views", lambda: [VIEW]),
            patch.object(feature_monitoring, "read_model", lambda: METADATA),
            patch.object(alerts, "_post", inbox.post),
        ):
            checks = [*check_api(), check_streaming(now), *check_rows(rows, now)]
            if now.hour == AS_OF.hour:  # to save time
                checks += check_model(rows, now, training, usual)
            alerts.update([*checks, *check_measured(checks)], now)

    return run


def check_rows(rows: pd.DataFrame, now: datetime) -> Iterator[Check]:
    day = rows[rows["event_timestamp"] > now - DAY]
    new = day[day["event_timestamp"] > now - EVERY]
    yield from check_columns(VIEW, check_data_quality(day[["amount"]]), new)
    yield from check_volumes([(VIEW, rows.rename(columns={"event_timestamp": "moment"}))], now)


def check_model(
    rows: pd.DataFrame, now: datetime, training: pd.DataFrame, usual: Outcome
) -> Iterator[Check]:
    weeks_old = (now - rows["event_timestamp"]) // (7 * DAY)
    served = rows[weeks_old == 0]
    yield check_flagged_users(training, served, now)
    yield from drift_checks(drift_since_training(training, served))
    pools = (rows[weeks_old.between(1, last)] for last in range(1, 9))
    enough = (pool for pool in pools if pool["is_fraud"].sum() >= FEWEST_FRAUDS)
    yield compare(outcome_of(next(enough)), usual)


def outcome_of(rows: pd.DataFrame) -> Outcome:
    return evaluate(rows.assign(score=score(rows)), THRESHOLD)


def plain_monitor(inbox: Inbox, folder: Path) -> Run:
    """Return a run of the plain submission's main() over the same columns."""
    plain: Any = import_module(PLAIN)
    plain.DATA, plain.FEATURES = folder, ["ratio", "amount", "burst"]

    def send_alert(type_: str, feature: str, *_: str) -> None:
        inbox.messages.append((inbox.now, f"{type_}: {feature}", "critical"))

    def run(rows: pd.DataFrame, now: datetime, broken: str, since: datetime) -> None:
        age = now - rows["event_timestamp"]
        windows = rows[(age > 30 * DAY) & (age <= 60 * DAY)], rows[age <= 7 * DAY]
        plain.windows = lambda feature: [window[feature] for window in windows]
        if now.hour == AS_OF.hour:
            plain.main()

    plain.send_alert = send_alert
    return run


def replay(incident: Incident, days: int = 90, is_plain: bool = False) -> dict[str, Any]:
    """Return the PR-AUC of what was served in the incident, and a summary of the messages."""
    begin = AS_OF + incident.begin * DAY
    end = begin + incident.days * DAY
    training = payments(AS_OF - 150 * DAY, 60, 7)
    is_train = training["event_timestamp"] < AS_OF - 120 * DAY
    training["split"] = np.where(is_train, "train", "test")
    rows = payments(AS_OF - HISTORY, HISTORY / DAY + days, 8)
    is_hit = rows["event_timestamp"].between(begin, end)
    hit = incident.change(rows[is_hit].copy())
    rows = pd.concat([rows[~is_hit], hit]).sort_values("event_timestamp", ignore_index=True)
    times, inbox = rows["event_timestamp"], Inbox()
    with (
        TemporaryDirectory(dir=RAM if RAM.is_dir() else None) as folder,
        settings_in_force(data_dir=Path(folder)),
    ):
        run = plain_monitor(inbox, Path(folder)) if is_plain else this_monitor(inbox, training)
        for inbox.now in pd.date_range(AS_OF, AS_OF + days * DAY, freq=EVERY):
            first, last = times.searchsorted([inbox.now - HISTORY, inbox.now], side="right")
            is_on = begin < inbox.now <= end
            run(rows[first:last], inbox.now, incident.breaks if is_on else "", begin)
    served = hit.assign(burst=0) if incident.breaks == "writer" else hit
    auc = average_precision_score(served["is_fraud"], score(served))
    return {"PR-AUC": round(auc, 2)} | summary(inbox.messages, begin, end, incident.is_one)


def summary(
    messages: list[tuple[datetime, str, str]], begin: datetime, end: datetime, is_one: bool
) -> dict[str, Any]:
    """Return the first signal, its hours after the begin, and the number of messages by kind.

    A signal is false without an incident, or a day after its end, of mature outcomes two weeks
    after it; RECOVERED is false while the incident lasts.
    """
    sent = [(at, subject) for at, subject, kind in messages if kind != "resolved"]
    pages = [subject for _, subject, kind in messages if kind == "critical"]
    true = [
        (subject, (at - begin) / timedelta(hours=1))
        for at, subject in sent
        if is_one and begin < at <= end + (15 if "outcomes" in subject else 1) * DAY
    ]
    ends = [at for at, _, kind in messages if kind == "resolved"]
    return {
        "first signal": true[0] if true else None,
        "pages": len(pages),
        "warnings": len(sent) - len(pages),
        "twice": len(pages) - len(set(pages)),
        "false": len(sent) - len(true),
        "false RECOVERED": sum(is_one and begin < at <= end for at in ends),
    }


def assert_required(found: dict[str, Any], incident: Incident) -> None:
    """An incident is seen within a day; nothing pages twice, ends early, or is no incident."""
    assert found["twice"] == found["false"] == found["false RECOVERED"] == 0, found
    if incident.is_one:
        assert found["first signal"][1] <= DAY / timedelta(hours=1), found
    else:
        assert found["pages"] == found["warnings"] == 0, found


if __name__ == "__main__":
    days = int(sys.argv[1]) if sys.argv[1:] else 90
    for name, incident in INCIDENTS.items():
        for monitor, is_plain in (("plain", True), ("this", False)):
            found = replay(incident, days, is_plain)
            print(name, monitor, found, sep=", ", flush=True)
        assert_required(found, incident)
