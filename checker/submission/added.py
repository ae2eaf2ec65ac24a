"""Entities of a known age, added to the hidden data; keys of other programs, added to Redis."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS, KnownView
from checker.submission.placing import place_feature_tables
from checker.submission.stored import online, stored_view
from checker.submission.submission import Submission
from checker.verdict.equality import equal_rows
from lab.settings import utc_now

DATABASES = (0, 1)  # the second is that of exercise 4's cache


@dataclass(frozen=True)
class Aged:
    """New entities, each with one row in every known view; `of_age` has their ids by age in hours.

    A negative age is in the future.
    """

    submission: Submission
    of_age: dict[float, str]
    rows: dict[str, pd.DataFrame]

    def mistakes(self, inside: Collection[float]) -> list[str]:
        """Return what Redis lacks of the ages `inside`, and what it holds of others, in words."""
        views_of: dict[str, list[str]] = defaultdict(list)
        for known in KNOWN_VIEWS.values():
            for fault in self._mistakes_in(known, inside):
                views_of[fault].append(known.name)
        return [f"{fault} in {', '.join(views)}" for fault, views in views_of.items()]

    def _mistakes_in(self, known: KnownView, inside: Collection[float]) -> list[str]:
        view = stored_view(self.submission, known)
        ages = [age for age in self.of_age if not view.ttl or timedelta(hours=age) < view.ttl]
        ids = [self.of_age[age] for age in ages]
        expected = self.rows[known.name].loc[ids]
        found = online(self.submission, known, ids)
        features = [name for name in known.features if name in found]
        right = list(equal_rows(expected, found, features))
        absent = list(found[EVENT_TIME].isna())
        lacks = [a for a, is_right in zip(ages, right, strict=True) if a in inside and not is_right]
        extra = [a for a, gone in zip(ages, absent, strict=True) if a not in inside and not gone]
        faults = {"no right row of": lacks, "a row outside the requested range, of": extra}
        return [f"{what} {_in_words(of)}" for what, of in faults.items() if of]


def _in_words(ages: Sequence[float]) -> str:
    """The ages in hours, as a person writes them."""
    times = (f"{abs(age):g} h {'ahead' if age < 0 else 'ago'}" for age in sorted(ages))
    return ", ".join(times)


@contextmanager
def rows_of_ages(submission: Submission, ages_h: Sequence[float]) -> Iterator[Aged]:
    """Add an entity of each age to all known views; the hidden tables lose them at the end."""
    tables = submission.hidden.tables
    before, now = dict(tables), utc_now()
    ids = {age: f"added_{uuid4().hex}" for age in ages_h}
    times = [pd.Timestamp(now - timedelta(hours=age)).as_unit("us") for age in ages_h]
    rows = {}
    for known in KNOWN_VIEWS.values():
        drawn = tables[known.name].sample(
            len(ids), replace=True, random_state=submission.hidden.seed
        )
        added = drawn.assign(**{known.key: list(ids.values()), EVENT_TIME: times, CREATED: times})
        submission.hidden.append(known.name, added)
        rows[known.name] = added.set_index(known.key)
    place_feature_tables(submission)
    try:
        yield Aged(submission, ids, rows)
    finally:
        tables.update(before)


@dataclass(frozen=True)
class OthersKey:
    """A key of another program in Redis, in the store's and in the cache's database."""

    name: str


def put_others_keys(submission: Submission) -> None:
    """Put them there."""
    key = submission.remember(OthersKey(f"session:{uuid4().hex}"))
    for database in DATABASES:
        submission.sandbox.redis.client(database).set(key.name, "1")


def lost_others_keys(submission: Submission) -> list[str]:
    """Return what the submission did to them, in words; nothing when they are there."""
    key = submission.running(OthersKey)
    return [
        f"keys of other programs in database {database} are gone"
        for database in DATABASES
        if key and not submission.sandbox.redis.client(database).exists(key.name)
    ]
