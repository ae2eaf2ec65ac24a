"""Hidden feature tables with drift where it is planted, and none anywhere else.

On every day the values of a feature are the same set, spread over the entities: each keeps its rank
among them, but for a change of places with its neighbour every other day. So two windows without
planted drift hold the same distribution, whether rows are compared, or one value of each entity,
and whatever the test.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS, KnownView
from checker.submission.placing import place_feature_tables
from checker.submission.submission import Submission

ENTITIES = 400
HISTORY = timedelta(days=120)
DRIFTED_SINCE = timedelta(days=10)
PASSING = timedelta(days=27), timedelta(days=9)  # between the windows, with room on both sides
LOWER_SHARE = 0.305
RATE_STEP = 1 / 4096  # sums of such rates are exact, in whatever order they are taken

# From the smallest to the largest value of a feature: numbers of events, amounts, shares
RANGES = {
    "transaction_count_7d": (5, 60),
    "transaction_count_30d": (60, 240),
    "avg_transaction_amount": (20, 120),
    "total_amount_30d": (1_000, 9_000),
    "chargeback_rate": (0.01, 0.06),
    "refund_rate": (0.01, 0.06),
    "total_transactions_30d": (100, 900),
    "view_count_7d": (50, 250),
    "purchase_count_30d": (20, 120),
    "purchase_rate": (0.05, 0.25),
}

Values = NDArray[np.float64]
Drift = Callable[[Values], Values]


def larger(values: Values) -> Values:
    """Most lie above all earlier ones."""
    return values * 3


def smaller(values: Values) -> Values:
    """Most lie below all earlier ones."""
    return values / 4


def split(values: Values) -> Values:
    """Half of them near the smallest, half near the largest; the mean stays."""
    low, high = values.min(), values.max()
    is_low = values < (low + high) / 2
    ends: Values = np.where(is_low, low + (values - low) / 8, high - (high - values) / 8)
    return ends


def moderate(values: Values) -> Values:
    """30.5 % lie in the lower half of the range: a PSI of 0.16, between the brief's bands."""
    low, high = values.min(), values.max()
    places = (values - low) / (high - low)
    moved = np.interp(places, [0, LOWER_SHARE, 1], [0, 0.5, 1])
    warped: Values = low + moved * (high - low)
    return warped


DRIFTS = (larger, smaller, split)


def features_of(submission: Submission) -> dict[str, str]:
    """The brief's features that the submission registered: its own name of each, by the brief's."""
    found, views = {}, submission.registry.views
    for known in KNOWN_VIEWS.values():
        for feature in known.features:
            view, own = submission.names.feature(known.name, feature)
            if view in views and own in views[view].features:
                found[feature] = own
    return found


@dataclass(frozen=True)
class DriftPlan:
    """The drift of each feature; that of `passing` ones has ended before the current window."""

    drift: dict[str, Drift]
    passing: set[str]

    def of(self, feature: str) -> str:
        """Return `none`, `moderate` or `drift`, as of now."""
        if feature in self.passing:
            return "none"
        return "moderate" if self.drift[feature] is moderate else "drift"


def planted(features: Iterable[str], seed: int) -> DriftPlan:
    """Plant moderate drift in one feature, a kind of drift in each other; half are passing."""
    random = np.random.default_rng([seed, 64])
    first, *others = [str(feature) for feature in random.permutation(sorted(features))]
    drift = dict(zip(others, cycle(DRIFTS), strict=False))
    return DriftPlan({**drift, first: moderate}, set(others[len(others) // 2 :]))


def place_windows(
    submission: Submission,
    now: datetime,
    drift: Mapping[str, Drift],
    passing: Collection[str] = (),
) -> None:
    """Rewrite the tables of the known views; the features in `drift` have drifted.

    The `passing` features drifted between the windows, and have returned since.
    """
    seed = submission.hidden.seed
    for view in KNOWN_VIEWS.values():
        submission.hidden.tables[view.name] = window_table(view, seed, now, drift, passing)
    place_feature_tables(submission)


def window_table(
    view: KnownView,
    seed: int,
    now: datetime,
    drift: Mapping[str, Drift],
    passing: Collection[str] = (),
) -> pd.DataFrame:
    """A row of each entity at each midnight, and one at the last whole hour."""
    entities = [f"{view.key.removesuffix('_id')}_{number}" for number in range(ENTITIES)]
    end = pd.Timestamp(now).floor("h")
    moments = pd.date_range((end - HISTORY).ceil("D"), end, freq="D").union([end])
    random = np.random.default_rng([seed, len(view.name)])
    rows = {
        view.key: np.tile(entities, len(moments)),
        EVENT_TIME: np.repeat(moments, ENTITIES),
        CREATED: np.repeat(moments, ENTITIES),
    }
    is_current = moments > end - DRIFTED_SINCE
    is_between = (moments > end - PASSING[0]) & (moments < end - PASSING[1])
    for feature in view.features:
        places = random.permutation(ENTITIES)
        usual = values_of(feature, ENTITIES)
        drifted = _rounded(feature, drift[feature](usual)) if feature in drift else usual
        days = [
            (drifted if is_then else usual)[_swapped(places, day)]
            for day, is_then in enumerate(is_between if feature in passing else is_current)
        ]
        rows[feature] = np.concatenate(days)
    return pd.DataFrame(rows)


def values_of(feature: str, count: int) -> Values:
    """As many values over the range of a feature, from the smallest to the largest."""
    return _rounded(feature, np.linspace(*RANGES[feature], count))


def _rounded(feature: str, values: Values) -> Values:
    step = RATE_STEP if feature.endswith("_rate") else 1
    rounded: Values = np.round(values / step) * step
    return rounded


def _swapped(places: NDArray[np.int64], day: int) -> NDArray[np.int64]:
    """Every other day each two neighbours change places."""
    neighbours = places ^ 1
    return np.where((day % 2 == 1) & (neighbours < len(places)), neighbours, places)
