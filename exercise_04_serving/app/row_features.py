"""The features of one payment, never with a hole: what stands for those that are not there."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from feast_plugins.online_features import OnlineFeatures, Status

from . import telemetry

LIVE_VIEW = "user_streaming_features"

# What stands for a feature that is missing, null, expired or of another type. It is what no history
# means: this user has paid nothing yet, and nothing was taken back from this merchant. Request-time
# features get the null instead, as they do in training: no mean is not a mean of zero.
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "user_transaction_features": {
        "transaction_count_7d": 0,
        "transaction_count_30d": 0,
        "avg_transaction_amount": 0.0,
    },
    "merchant_risk_features": {"chargeback_rate": 0.0, "total_transactions_30d": 0},
    LIVE_VIEW: {
        "transaction_count_5m": 0,
        "total_amount_5m": 0.0,
        "avg_amount_5m": 0.0,
        "max_amount_5m": 0.0,
        "declined_count_5m": 0,
        "transaction_count_1h": 0,
        "avg_amount_1h": 0.0,
    },
}
# A user without an event has no row of these, and the mean of no payment is null: zeros are true.
QUIET = frozenset(DEFAULTS[LIVE_VIEW])
DEFAULT = {name: value for view in DEFAULTS.values() for name, value in view.items()}


class RowFeatures(NamedTuple):
    """A row's features, all of them numbers, and the names of those that a default stands for."""

    values: dict[str, float]
    missing: list[str]


def served(answer: OnlineFeatures, rows: int) -> list[RowFeatures]:
    """The answer row by row; what a default stands for is named, and counted with the reason."""
    columns = [
        (name, values, answer.statuses[name], name in QUIET)
        for name, values in answer.values.items()
    ]
    return [_row(columns, row) for row in range(rows)]


def _row(
    columns: Sequence[tuple[str, Sequence[object], Sequence[Status], bool]], row: int
) -> RowFeatures:
    features: dict[str, float] = {}
    missing = []
    for name, values, statuses, may_be_quiet in columns:
        value, status = values[row], statuses[row]
        is_number = isinstance(value, int | float) and isfinite(value)
        features[name] = value if is_number else DEFAULT.get(name, 0.0)
        if status is Status.PRESENT and is_number:
            continue
        if not may_be_quiet or status is Status.WRONG_TYPE:
            missing.append(name)
            reason = "not a number" if status is Status.PRESENT else status
            telemetry.count_default(name, reason)
    return RowFeatures(features, missing)
