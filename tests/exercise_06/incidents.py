"""Replay 90 days of payments with an incident, and print what two monitors report of it.

python -m tests.exercise_06.incidents [days]. *This* is the monitor of exercise 6, twice a day, with
`alertmanager` and `volume`, and `outcomes` twice a week; *plain* is the submission's, once a day.
"""

import io
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score

from exercise_06_monitoring import feature_monitoring, serving, windows
from exercise_06_monitoring.production import outcomes
from exercise_06_monitoring.production.__main__ import build_monitor
from exercise_06_monitoring.production.alertmanager import Alertmanager
from lab.learn import settings
from tests.settings_in_force import settings_in_force
from tests.shop import AS_OF
from tests.submissions.right.plain.exercise_06_monitoring import feature_monitoring as plain

DAY, EVERY, HOUR = timedelta(days=1), timedelta(hours=12), timedelta(hours=1)
TRAINING, HISTORY, A_DAY = 30, 91, 600  # days before the replay; payments a day
PARTS = {"alertmanager", "volume"}
PAYMENTS, TIME = "transactions.parquet", "event_timestamp"
FEATURES = ["ratio", "amount", "burst"]
Alerts = set[tuple[str, str]]  # with their severity


@dataclass(frozen=True)
class Incident:
    """A change of the payments, or a broken service, from a day of the replay on."""

    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    first_day: float = 10
    days: float = 20
    breaks: str = ""  # writer, redis or api
    is_one: bool = True


INCIDENTS = {
    "dead streaming writer": Incident(breaks="writer"),
    "fraudsters like customers": Incident(
        lambda rows: rows.assign(**rows[FEATURES].where(rows["is_fraud"] == 0).ffill())
    ),
    "dead API": Incident(breaks="api"),
    "flushed Redis": Incident(breaks="redis"),
    "60 % of the rows lost": Incident(lambda rows: rows.query("index % 5 < 2")),
    "three hours of nulls": Incident(lambda rows: rows.assign(amount=np.nan), days=1 / 8),
    "prices up 44 %": Incident(lambda rows: rows.eval("amount = 1.44 * amount"), 10, 80, "", False),
    "echo of lost rows": Incident(lambda rows: rows.query("index % 5 < 2"), -10, 7, "", False),
}


def payments(first_day: int, days: int, seed: int) -> pd.DataFrame:
    """Payments of 2,000 users: frauds pay many times their mean, and lie within five minutes."""
    random, rows = np.random.default_rng(seed), A_DAY * days
    is_fraud = (random.random(rows) < 0.03).astype(int)
    ratio, times = random.lognormal(1.2 * is_fraud - 0.2, 0.6), np.sort(random.random(rows) * days)
    columns = {
        "user_id": random.integers(0, 2_000, rows).astype(str),
        "merchant_id": "m",
        TIME: AS_OF + pd.to_timedelta(first_day + times, "D"),
        "ratio": ratio,
        "amount": random.lognormal(3, 0.8, rows) * ratio,
        "burst": random.poisson(3.0 * is_fraud),
        "is_fraud": is_fraud,
    }
    return pd.DataFrame(columns)


def train_model() -> HistGradientBoostingClassifier:
    """Store a model as exercise 4 does, and return it."""
    rows = payments(-HISTORY - TRAINING, TRAINING, 7)
    rows["split"] = np.where(rows.index < len(rows) / 2, "train", "test")
    rows.to_parquet(settings.model_dir / windows.TRAINING)
    train, model = rows[rows["split"] == "train"], HistGradientBoostingClassifier(max_iter=20)
    model.fit(train[FEATURES].to_numpy(), train["is_fraud"])
    joblib.dump(model, settings.model_dir / windows.MODEL)
    metadata = {"service": "", "features": FEATURES, "threshold": 0.5}
    (settings.model_dir / windows.METADATA).write_text(json.dumps(metadata))
    return model


def run_this(rows: pd.DataFrame, now: datetime, since: datetime, broken: str) -> Alerts:
    """Run the monitor of exercise 6; return the open alerts."""
    progress = (since if broken == "writer" else now).timestamp() * 1_000
    client = SimpleNamespace(get=lambda _: None if broken == "redis" else progress)
    answers = None if broken == "api" else Counter({f"{serving.RESPONSES} 200": 1})
    fields = [SimpleNamespace(name=name, dtype="") for name in FEATURES]
    file = settings.data_dir / PAYMENTS
    source = SimpleNamespace(path=file, timestamp_field=TIME, created_timestamp_column="")
    view = SimpleNamespace(name="shop", join_keys=["user_id"], features=fields, batch_source=source)

    def requests(now: datetime, days: int = 7, **_: int) -> pd.DataFrame:
        is_served = rows[TIME].between(now - days * DAY, now)
        return rows.loc[is_served, [*outcomes.KEYS, *FEATURES]]

    with (
        redirect_stdout(io.StringIO()),
        patch.object(Alertmanager, "_post", lambda *_: True),
        patch.object(feature_monitoring, "read_views", lambda: [view]),
        patch.object(windows, "read_requests", requests),
        patch.object(outcomes, "read_requests", requests),
        patch.object(serving, "read_counts", lambda: answers),
        patch.object(serving, "check_redis", lambda _, now: [serving.check_streaming(now)]),
        patch.object(serving, "Redis", lambda *_, **__: client),
    ):
        monitor = build_monitor(PARTS | {"outcomes"} if now.weekday() in (0, 3) else PARTS)
        monitor.run(now)
    return {(f"{a.type}: {a.feature}", a.severity) for a in monitor.alerts.open_alerts()}


def run_plain(rows: pd.DataFrame, now: datetime, *_: object) -> Alerts:
    """Run the plain submission's main() over the same columns; return its messages."""
    age, sent = now - rows[TIME], set()
    sides = rows[(age > 30 * DAY) & (age <= 60 * DAY)], rows[(age > 0 * DAY) & (age <= 7 * DAY)]
    changes: dict[str, Any] = {
        "send_alert": lambda type_, name, *_: sent.add((f"{type_}: {name}", "critical")),
        "windows": lambda feature: [side[feature] for side in sides],
    }
    with patch.multiple(plain, DATA=settings.data_dir, FEATURES=FEATURES, **changes):
        plain.main()
    return sent


def replay(incident: Incident, days: int = 90, is_plain: bool = False) -> dict[str, Any]:
    """Return the PR-AUC of what was served in the incident, and a summary of the messages."""
    begin, messages, alerts = AS_OF + incident.first_day * DAY, list[Any](), Alerts()
    end = begin + incident.days * DAY
    rows = payments(-HISTORY, HISTORY + days, 8)
    is_hit = rows[TIME].between(begin, end)
    hit = incident.change(rows[is_hit].copy())
    rows = pd.concat([rows[~is_hit], hit]).sort_values(TIME, ignore_index=True)
    run, every = (run_plain, DAY) if is_plain else (run_this, EVERY)
    with TemporaryDirectory() as temp, settings_in_force(data_dir=Path(temp), model_dir=Path(temp)):
        rows.assign(label=rows["is_fraud"], is_approved=True).to_parquet(Path(temp) / PAYMENTS)
        model = train_model()
        for now in pd.date_range(AS_OF, AS_OF + days * DAY, freq=every):
            broken = incident.breaks if begin < now <= end else ""
            before, alerts = Alerts() if is_plain else alerts, run(rows, now, begin, broken)
            messages += [(now, *alert) for alert in alerts - before]
            messages += [(now, name, "resolved") for name, _ in before - alerts]
    served = hit.assign(burst=0) if incident.breaks == "writer" else hit
    scores = model.predict_proba(served[FEATURES].to_numpy())[:, 1]
    auc = average_precision_score(served["is_fraud"], scores)
    return {"PR-AUC": round(auc, 2)} | summary(messages, begin, end, incident.is_one)


def summary(messages: list[Any], begin: datetime, end: datetime, is_one: bool) -> dict[str, Any]:
    """Return the hours until each alert's first message, and the number of messages.

    A message is false without an incident, or a day after its end, of mature outcomes two weeks
    after it; RECOVERED is false while the incident lasts.
    """
    sent = [(at, name) for at, name, kind in messages if kind != "resolved"]
    pages = [name for _, name, kind in messages if kind == "critical"]
    last = {name: end + (15 if "outcomes" in name else 1) * DAY for _, name in sent}
    true = [(name, (at - begin) / HOUR) for at, name in sent if is_one and begin < at <= last[name]]
    ends = [at for at, _, kind in messages if kind == "resolved"]
    return {
        "signals": dict(reversed(true)),
        "pages": len(pages),
        "warnings": len(sent) - len(pages),
        "twice": len(pages) - len(set(pages)),
        "false": len(sent) - len(true),
        "false RECOVERED": sum(is_one and begin < at <= end for at in ends),
    }


def assert_required(found: dict[str, Any], is_one: bool) -> None:
    """An incident is seen within a day, by outcomes within maturity and a week; no noise."""
    assert found["twice"] == found["false"] == found["false RECOVERED"] == 0, found
    assert bool(found["signals"]) == is_one, found
    assert min(found["signals"].values(), default=0) <= DAY / HOUR, found
    assert found["signals"].get("prediction: outcomes", 0) <= 14 * DAY / HOUR, found


if __name__ == "__main__":
    days, found = int(sys.argv[1]) if sys.argv[1:] else 90, {}
    for name, incident in INCIDENTS.items():
        print(name, "plain", replay(incident, days, is_plain=True), sep=", ", flush=True)
        found[name] = replay(incident, days)
        print(name, "this", found[name], sep=", ", flush=True)
    for name, incident in INCIDENTS.items():
        assert_required(found[name], incident.is_one)
