"""What is said of a feature: its statistics, and whether it drifted."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "category", "time"]
Severity = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class Histogram:
    """Shares of the known values, one per bin.

    Numbers and times (in seconds since 1970): `edges` has one entry more than `shares`; the first
    and the last bin are open, and their outer edges are the least and the greatest value of both
    windows. Categories: `labels` has one entry per share, and `edges` is empty.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in two windows; a statistic that has no meaning for its kind is NaN.

    `wasserstein` is in the feature's own unit (seconds for times), `jensen_shannon` a distance
    between 0 and 1. `psi_threshold` is what PSI stays below without drift, at this many rows.
    `change_rate_…` is the share of the entities whose value moved within a week. `ended` is how old
    the newest row is, in whole days: so long before the as-of the current week ends.
    """

    feature: str
    view: str
    kind: Kind
    psi: float
    psi_threshold: float
    ks_statistic: float
    ks_p_value: float
    q_value: float
    wasserstein: float
    jensen_shannon: float
    chi_square_p_value: float
    null_rate_reference: float
    null_rate_current: float
    rows_reference: int
    rows_current: int
    has_drift: bool
    severity: Severity
    reasons: tuple[str, ...]
    reference_histogram: Histogram
    current_histogram: Histogram
    change_rate_reference: float = float("nan")
    change_rate_current: float = float("nan")
    ended: int = 0
