"""Stored and expected rows of the known views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pandas as pd

from checker.hidden.catalogue import EVENT_TIME, KNOWN_VIEWS, KnownView
from checker.submission.online import expiring, read_online
from checker.submission.registry import View
from checker.submission.submission import Submission
from checker.verdict.equality import differences, equal_rows
from checker.verdict.outcome import CounterExample

WINDOW = timedelta(days=7) - timedelta(hours=1)
NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True)
class Stored:
    """Stored and expected rows of a view, by entity."""

    known: KnownView
    expected: pd.DataFrame
    found: pd.DataFrame
    expiring: int = 0  # entities that are gone before the next hourly run

    @property
    def right(self) -> pd.Series:
        return equal_rows(self.expected, self.found, list(self.columns))

    @property
    def columns(self) -> Sequence[str]:
        return [name for name in self.known.features if name in self.found]

    def examples(self) -> list[CounterExample]:
        entities = self.expected.index.to_frame(index=False, name=self.known.key)
        return differences(self.expected, self.found, self.columns, of=entities)


def stored_view(submission: Submission, known: KnownView) -> View:
    return submission.view(known.name, known.features[0])


def online(submission: Submission, known: KnownView, entities: Sequence[str]) -> pd.DataFrame:
    """Return the stored rows of `entities`, under the brief's names."""
    rows = read_online(*place_of(submission, known), entities)
    return submission.names.canonical(rows)


def place_of(submission: Submission, known: KnownView) -> tuple[Any, str, int, View]:
    """Return client, project, key version and view, by which Redis's keys are made."""
    client, view = submission.sandbox.redis.client(), stored_view(submission, known)
    return client, submission.project, submission.key_version, view


def stored(submission: Submission, *, without: Mapping[str, Sequence[str]] = NONE) -> list[Stored]:
    """The entities of each view with a row in the last week, but for those of `without`."""
    start = submission.hidden.as_of - WINDOW
    parts = []
    for name, known in KNOWN_VIEWS.items():
        newest = submission.hidden.newest(name).drop(without.get(name, []), errors="ignore")
        expected = newest[newest[EVENT_TIME] >= start]
        entities = list(expected.index)
        short = expiring(*place_of(submission, known), entities)
        parts.append(Stored(known, expected, online(submission, known, entities), short))
    return parts
