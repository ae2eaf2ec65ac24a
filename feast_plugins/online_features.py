"""What an online read gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Where a feature's value comes from; every status but the first two is filled by a default.

    A null is filled as well: it is a value that was stored as unknown.
    """

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"
    WRONG_TYPE = "wrong type"


@dataclass(frozen=True, slots=True)
class OnlineFeatures:
    """One value per asked row for each feature, in the service's order.

    `statuses` has the same keys as `values`, and tells what was stored before defaults filled it.
    `event_times` has, for each stored view, the event time of each row, None where there is no row.
    `sources` tells which view a feature is of, and what it is called there.
    """

    values: dict[str, list[object]]
    statuses: dict[str, list[Status]]
    event_times: dict[str, list[datetime | None]]
    sources: Mapping[str, tuple[str, str]]
