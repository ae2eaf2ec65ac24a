"""Payments to send to a submission's API, the right features of each, and its answers."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.hidden.hidden_data import HiddenData
from checker.sandbox.untrusted import plain
from checker.serving.http_probe import Answer, Body
from checker.submission.submission import Submission

VIEWS = ("user_transaction_features", "merchant_risk_features")
PAIR = ["user_id", "merchant_id"]
REQUEST_FEATURES = ("amount_vs_avg_ratio", "is_large_transaction", "transaction_velocity")
PROBABILITY, VERDICT = "fraud_probability", "is_fraud"
AVERAGE = "avg_transaction_amount"
NEW = "new_"
NEW_ENTITIES = 20
WINDOW = timedelta(days=7) - timedelta(hours=1)
AMOUNTS_OVER_AVERAGE = (0.3, 0.9, 1.5, 3.0, 7.0)
HOT_PAIRS = 40
COLD_SHARE = 0.2


def add_new_entities(hidden: HiddenData, unasked: int) -> None:
    """Add users and merchants whose ids nobody can know beforehand, `unasked` more than needed.

    No request names them before `payments_of_unasked`.
    """
    count = NEW_ENTITIES + unasked
    for name in VIEWS:
        key = KNOWN_VIEWS[name].key
        newest = hidden.newest(name).sample(count, replace=True, random_state=hidden.seed)
        rows, ids = newest.reset_index(), [f"{NEW}{key}_{uuid4().hex}" for _ in range(count)]
        at = pd.Timestamp(hidden.as_of - timedelta(hours=1)).as_unit("us")
        added = rows.assign(**{key: ids, EVENT_TIME: at, CREATED: at})
        hidden.append(name, added[hidden.tables[name].columns])


def payments(hidden: HiddenData, count: int, draw: int, *, only: str = "") -> pd.DataFrame:
    """`count` distinct pairs of recent entities, amounts, and their features, under our names.

    `draw` is the number of the sample; `only` takes users whose id begins with it.
    """
    random = np.random.default_rng([hidden.seed, draw])
    users, merchants = (_recent(hidden, view) for view in VIEWS)
    users = users[users.index.str.startswith(only)]
    drawn = [
        table.sample(2 * count, replace=True, random_state=random).reset_index()
        for table in (users, merchants)
    ]
    pairs = pd.concat(drawn, axis=1).drop_duplicates(PAIR).head(count)
    return _with_amounts(pairs, random)


def payments_of_unasked(hidden: HiddenData, draw: int, sizes: Sequence[int]) -> list[pd.DataFrame]:
    """Return groups of `sizes` payments, of reserved users and merchants; each has one in all."""
    users, merchants = (_recent(hidden, view, kept=True).reset_index() for view in VIEWS)
    pairs = pd.concat([users, merchants], axis=1, join="inner")
    asked = _with_amounts(pairs, np.random.default_rng([hidden.seed, draw]))
    return [asked[end - size : end] for end, size in zip(np.cumsum(sizes), sizes, strict=True)]


def hot_payments(hidden: HiddenData) -> pd.DataFrame:
    """Return one payment of each pair that is requested repeatedly."""
    return payments(hidden, HOT_PAIRS, 0)


def crossed_payments(hidden: HiddenData, draw: int) -> pd.DataFrame:
    """Payments of half of the hot users, each to the merchant of another one."""
    hot = hot_payments(hidden).head(HOT_PAIRS // 2)
    of_merchant = [KNOWN_VIEWS[VIEWS[1]].key, *KNOWN_VIEWS[VIEWS[1]].features]
    others = hot[of_merchant].iloc[::-1].reset_index(drop=True)
    crossed = pd.concat([hot.drop(columns=of_merchant), others], axis=1)
    return _with_amounts(crossed, np.random.default_rng([hidden.seed, draw]))


def skewed_payments(
    hidden: HiddenData, count: int, draw: int, cold: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Payments of hot pairs, the hottest most often, with new (or `cold`) ones among them."""
    random = np.random.default_rng([hidden.seed, draw])
    cold = payments(hidden, round(count * COLD_SHARE), draw) if cold is None else cold
    hot = hot_payments(hidden)
    weights = 1 / np.arange(1, len(hot) + 1)
    repeated = hot.sample(count - len(cold), replace=True, weights=weights, random_state=random)
    return _with_amounts(pd.concat([repeated, cold]).sample(frac=1, random_state=random), random)


def bodies(asked: pd.DataFrame) -> list[Body]:
    """The requests; every other one has a time."""
    now = pd.Timestamp.now("UTC").isoformat()
    requests: list[Body] = asked[[*PAIR, "transaction_amount"]].to_dict("records")
    return [
        {**request, "timestamp": now} if number % 2 else request
        for number, request in enumerate(requests)
    ]


def expected_features(hidden: HiddenData) -> list[str]:
    """The features that an answer has to hold, under the brief's names."""
    stored = [name for view in VIEWS for name in KNOWN_VIEWS[view].critical]
    return [*(name for name in stored if name in hidden.critical), *REQUEST_FEATURES]


def answered(submission: Submission, predictions: Iterable[object]) -> pd.DataFrame:
    """Pair, score, verdict and features of each prediction, under our names; null where absent."""
    objects = [found if isinstance(found, dict) else {} for found in predictions]
    given = [found.get("features") for found in objects]
    features = pd.DataFrame(
        [{str(n): plain(v) for n, v in f.items()} if isinstance(f, dict) else {} for f in given]
    )
    named = submission.names.canonical(features)
    own = {
        name: [plain(found.get(name)) for found in objects]
        for name in [*PAIR, PROBABILITY, VERDICT]
    }
    return named.assign(**own)


def bodies_of(answers: Sequence[Answer]) -> list[Any]:
    """The predictions that answers hold; null where one holds none."""
    return [answer.body if answer.is_object else None for answer in answers]


def _recent(hidden: HiddenData, view: str, *, kept: bool = False) -> pd.DataFrame:
    """The newest row of each entity that a materialization of the last week has to find.

    The new entities that are `kept` for `payments_of_unasked`, or all others; users with an
    average, without which an amount is neither usual nor large.
    """
    newest = hidden.newest(view)
    new = newest.index[newest.index.str.startswith(NEW)]
    rows = newest[newest.index.isin(new[NEW_ENTITIES:]) == kept]
    recent = rows.loc[rows[EVENT_TIME] >= hidden.as_of - WINDOW, list(KNOWN_VIEWS[view].features)]
    return recent[recent[AVERAGE] > 0] if AVERAGE in recent else recent


def _with_amounts(pairs: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    average = pairs[AVERAGE].astype("float64")
    over_average = random.choice(AMOUNTS_OVER_AVERAGE, len(pairs)) * random.uniform(
        0.9, 1.1, len(pairs)
    )
    amount = (average * over_average).round(2).clip(lower=0.5)
    return with_request_features(pairs.assign(transaction_amount=amount)).reset_index(drop=True)


def with_request_features(asked: pd.DataFrame) -> pd.DataFrame:
    """`asked` with the features of the request, from its amounts and stored features."""
    average, amount = asked[AVERAGE].astype("float64"), asked["transaction_amount"]
    return asked.assign(
        amount_vs_avg_ratio=amount / average,
        is_large_transaction=(amount > 2 * average).astype("int64"),
        transaction_velocity=asked["transaction_count_30d"] / 30,
    )
