"""The features of payments, never with a hole: what stands for those that are not there."""

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple, TypeGuard

from feast_plugins.online_features import OnlineFeatures, Status

from . import telemetry

LIVE_VIEW = "user_streaming_features"

# What stands for a feature that is missing, null, expired or of another type. It is what no history
# means: this user has paid nothing yet, and nothing was taken back from this merchant. Request-time
# features get the null instead, as they do in training: no mean is not a mean of zero.
DEFAULT = 0.0
# A user without an event has no streaming row, and the mean of no payment is null: zeros are true.
QUIET = (Status.MISSING, Status.NULL, Status.EXPIRED)


class ServedFeatures(NamedTuple):
    """A column of numbers for each feature; `missing` names each payment's defaults."""

    columns: dict[str, Sequence[float]]
    missing: list[list[str]]

    def by_payment(self) -> list[dict[str, float]]:
        """Each payment's features by name."""
        rows = zip(*self.columns.values(), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]


def served(answer: OnlineFeatures, payments: int) -> ServedFeatures:
    """The answer in numbers; what a default stands for is named, and counted with the reason."""
    missing: list[list[str]] = [[] for _ in range(payments)]
    columns = {
        name: values if _are_numbers(values) else _filled(answer, name, missing)
        for name, values in answer.values.items()
    }
    return ServedFeatures(columns, missing)


def _are_numbers(values: Sequence[object]) -> TypeGuard[Sequence[float]]:
    try:
        return isfinite(sum(values))  # type: ignore[arg-type]  # as finite as the least of them
    except TypeError:
        return False


def _filled(answer: OnlineFeatures, name: str, missing: list[list[str]]) -> list[float]:
    """A feature's column with a default in each hole, which `missing` is told of."""
    values: list[Any] = list(answer.values[name])
    statuses = answer.statuses[name]
    silent = QUIET if answer.sources[name][0] == LIVE_VIEW else ()
    holes = [row for row, value in enumerate(values) if value is None or not _are_numbers([value])]
    for row in holes:
        values[row] = DEFAULT
        if (status := statuses[row]) not in silent:
            missing[row].append(name)
            reason = "not a number" if status is Status.PRESENT else status
            telemetry.count_default(name, reason)
    return values
