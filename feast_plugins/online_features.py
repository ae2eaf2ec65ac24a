"""The result of an online read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Source of a feature's value; a default replaces every status but the first two.

    A default replaces a null as well: a null is a value that was stored as unknown.
    """

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"
    WRONG_TYPE = "wrong type"


@dataclass(frozen=True, slots=True)
class OnlineFeatures:
    """One value per row for each feature, in the service's order.

    `statuses` has the same keys as `values`: the status in Redis, before defaults are applied.
    `event_times` has, for each stored view, the event time of each row, None where there is no row.
    `sources` has each feature's view, and the feature's name in that view.
    """

    values: dict[str, list[object]]
    statuses: dict[str, list[Status]]
    event_times: dict[str, list[datetime | None]]
    sources: Mapping[str, tuple[str, str]]
