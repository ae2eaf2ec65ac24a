"""The features of payments, with missing values by the rule of the feature repository."""

from collections.abc import Sequence
from functools import cache
from math import isfinite
from typing import Any, NamedTuple, TypeGuard

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, UNKNOWN, quiet_values
from feast_plugins.online_features import OnlineFeatures, Status

from . import telemetry

# A user without an event has no streaming row, and the mean of no payment is null: both are quiet.
# A pipeline that stopped leaves the same, and is taken for quiet users.
QUIET = (Status.MISSING, Status.NULL, Status.EXPIRED)


class ServedFeatures(NamedTuple):
    """A column of numbers for each feature; NaN is unknown, and `missing` names it."""

    columns: dict[str, Sequence[float]]
    missing: list[list[str]]

    def by_payment(self) -> list[dict[str, float]]:
        """Each payment's features by name."""
        rows = zip(*self.columns.values(), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]


def served(answer: OnlineFeatures, payments: int) -> ServedFeatures:
    """Return the answer in numbers; an unknown feature is named, and counted with the reason."""
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


@cache
def _quiet_value(name: str) -> float:
    return quiet_values([name])[name]


def _filled(answer: OnlineFeatures, name: str, missing: list[list[str]]) -> list[float]:
    """Return a feature's column with its holes filled; unknown ones are added to `missing`."""
    values: list[Any] = list(answer.values[name])
    statuses = answer.statuses[name]
    is_streaming = answer.sources[name][0] == STREAMING_VIEW
    holes = [row for row, value in enumerate(values) if value is None or not _are_numbers([value])]
    for row in holes:
        if is_streaming and statuses[row] in QUIET:
            values[row] = _quiet_value(name)
            continue
        values[row] = UNKNOWN
        missing[row].append(name)
        status = statuses[row]
        telemetry.count_default(name, "not a number" if status is Status.PRESENT else status)
    return values
