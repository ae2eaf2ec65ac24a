"""Hidden data for one grading run, with the expected values; a sandbox sees what a check sends.

A small simulated history, ending now. Each known view's table gets planted cases: rows exactly at
the time of a payment, rows past their TTL, rows corrected under the same event time. The expected
values are a plain as-of join in pandas: the newest row at or before t, no older than the TTL, and
of two rows of the same moment the one created last.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS, KnownView
from checker.verdict.equality import as_utc
from lab.dataset.manifest import Manifest

QUIET_ENTITIES = 20
QUIET_SINCE = timedelta(days=3)
PLANTED = 12
CASES = ("boundary", "future", "tie", "expired", "just_alive")
FRAME_COLUMNS = ["user_id", "merchant_id", EVENT_TIME, "transaction_amount", "is_fraud"]


@dataclass
class HiddenData:
    """Raw tables in `directory`, feature tables by view, and the moment at which both end."""

    directory: Path
    seed: int
    as_of: datetime
    tables: dict[str, pd.DataFrame]
    source: Manifest
    label_maturity: timedelta

    @property
    def absent(self) -> list[str]:
        """Features that the source of the data cannot give: null everywhere."""
        return [
            name
            for view, table in self.tables.items()
            for name in KNOWN_VIEWS[view].features
            if table[name].isna().all()
        ]

    @property
    def critical(self) -> list[str]:
        """The features that must not be null wherever they can be known."""
        named = [name for view in KNOWN_VIEWS.values() for name in view.critical]
        return [name for name in named if name not in self.absent]

    def entities(self, view: str) -> list[str]:
        """All entities of a view, in order."""
        return sorted(self.tables[view][KNOWN_VIEWS[view].key].unique())

    def quiet(self, view: str) -> list[str]:
        """Some entities whose newest row is days old."""
        newest = self.newest(view)[EVENT_TIME]
        return list(newest.index[newest <= self.as_of - QUIET_SINCE])[:QUIET_ENTITIES]

    def newest(self, view: str) -> pd.DataFrame:
        """The newest row of each entity, nulls and all, by entity."""
        key = KNOWN_VIEWS[view].key
        rows = _without_ties(self.tables[view], key)
        return rows.drop_duplicates(key, keep="last").set_index(key).sort_index()

    def as_known(self, view: str, frame: pd.DataFrame, ttl: timedelta) -> pd.DataFrame:
        """The point-in-time answer for each row of `frame`, in its order; a TTL of zero is none."""
        known = KNOWN_VIEWS[view]
        rows = _without_ties(self.tables[view], known.key).sort_values(EVENT_TIME)
        asked = frame[[known.key]].assign(**{EVENT_TIME: as_utc(frame[EVENT_TIME])})
        joined = pd.merge_asof(
            asked.reset_index(drop=True).reset_index().sort_values(EVENT_TIME, kind="stable"),
            rows,
            on=EVENT_TIME,
            by=known.key,
            tolerance=ttl or None,
        )
        return joined.set_index("index").sort_index()[list(known.features)]

    def unchanged(self) -> "HiddenData":
        """A copy to plant into and append to; the raw files are shared."""
        return replace(self, tables=dict(self.tables))

    def append(self, view: str, rows: pd.DataFrame) -> None:
        """Later rows of a view, as a pipeline would add them."""
        self.tables[view] = pd.concat([self.tables[view], rows], ignore_index=True)

    def transactions(self) -> pd.DataFrame:
        """The raw transactions, as the rows of a training set."""
        raw = pd.read_parquet(self.directory / "transactions.parquet")
        raw = raw.rename(columns={"amount": "transaction_amount", "label": "is_fraud"})
        return raw[FRAME_COLUMNS]

    def frame(self, rows: int, *, knowable: bool = True) -> pd.DataFrame:
        """A seeded sample of mature transactions, in order of time, one per keys and moment.

        `knowable` leaves out those whose user or merchant has no history yet.
        """
        raw = self.transactions().dropna(subset=["is_fraud"]).drop_duplicates(FRAME_COLUMNS[:3])
        if knowable:
            raw = raw[self.is_knowable(raw)]
        mature = raw[raw[EVENT_TIME] < self.as_of - self.label_maturity - timedelta(days=1)]
        sample = mature.sample(min(rows, len(mature)), random_state=self.seed)
        return numbered(sample.sort_values(EVENT_TIME).astype({"is_fraud": "int64"}))

    def is_knowable(self, frame: pd.DataFrame) -> pd.Series:
        """Return whether each row's user and merchant had a snapshot by then."""
        views = ("user_transaction_features", "merchant_risk_features")
        answers = pd.concat([self.as_known(view, frame, timedelta()) for view in views], axis=1)
        known = answers.drop(columns=self.absent, errors="ignore").notna().all(axis=1)
        return pd.Series(known.to_numpy(), index=frame.index)

    def with_answers(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` with the right value of every feature of the user's and the merchant's view."""
        answers = [
            self.as_known(view, frame, timedelta(days=90))
            for view in ("user_transaction_features", "merchant_risk_features")
        ]
        answered = pd.concat([frame.reset_index(drop=True), *answers], axis=1)
        counts = [name for name in answered if "count" in name or "total_transactions" in name]
        return answered.astype(dict.fromkeys(counts, "int64"))


def plant(hidden: HiddenData, view_name: str, ttl: timedelta) -> pd.DataFrame:
    """Add entities whose rows lie where a wrong join shows.

    Returns the entity rows that query them, with the case of each; ids do not reveal the case.
    """
    view, table = KNOWN_VIEWS[view_name], hidden.tables[view_name]
    random = np.random.default_rng([hidden.seed, 24, len(view_name)])
    asked: list[dict[str, Any]] = []
    added = []
    for row in hidden.frame(PLANTED).to_dict("records"):
        for case in CASES:
            # Feast's file store drops a row with the user and the time of another one.
            at = row[EVENT_TIME] + timedelta(seconds=len(asked) + 1)
            entity = f"{view.key.removesuffix('_id')}_{random.integers(10**11, 10**12)}"
            asked.append({**row, view.key: entity, EVENT_TIME: at, "case": case})
            added += [
                {view.key: entity, EVENT_TIME: moment, CREATED: moment + later}
                | _values(table, view, number)
                for number, (moment, later) in enumerate(_rows(case, at, ttl), 3 * len(asked))
            ]
    types = table.dtypes.to_dict()
    hidden.append(view.name, pd.DataFrame(added, columns=list(types)).astype(types))
    return pd.DataFrame(asked)


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with amounts that name its rows, and that float32 can hold."""
    return frame.assign(transaction_amount=5 + np.arange(len(frame)) / 4).reset_index(drop=True)


def _rows(case: str, t: datetime, ttl: timedelta) -> list[tuple[datetime, timedelta]]:
    """Moments of a planted entity's rows, and how long after them each was created."""
    at_once, second = timedelta(0), timedelta(seconds=1)
    before = t - min(timedelta(days=2), ttl or timedelta(days=2))
    return {
        "boundary": [(before, at_once), (t, at_once), (t + second, at_once)],
        "future": [(before, at_once), (t + second, at_once)],
        "tie": [(before, timedelta(hours=6)), (before, at_once)],
        "expired": [(t - ttl - second, at_once)],
        "just_alive": [(t - ttl, at_once)],
    }[case]


def _values(table: pd.DataFrame, view: KnownView, number: int) -> dict[str, float]:
    """Values that occur once; a rate is below 1, and float32 can hold it."""
    names = table.columns.drop([view.key, EVENT_TIME, CREATED])
    values = {name: number * len(names) + place for place, name in enumerate(names)}
    return {
        name: value / 1_024 if name.endswith("_rate") else value
        for name, value in values.items()
        if table[name].notna().any()
    }


def _without_ties(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    newest_last = rows.sort_values([EVENT_TIME, CREATED], kind="stable")
    return newest_last.drop_duplicates([key, EVENT_TIME], keep="last")
