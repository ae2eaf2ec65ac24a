"""Compare the severities of a drift report; the contract leaves their words open."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

# From the lowest to the highest; other words are compared for equality only.
RANKS = (
    ("no", "none", "not", "ok", "okay", "normal", "stable", "healthy", "green", "negligible"),
    ("info", "low", "minor", "mild", "small"),
    ("medium", "moderate", "warning", "warn", "yellow", "amber", "some"),
    ("high", "critical", "severe", "significant", "major", "error", "red", "alert", "large"),
)


@dataclass(frozen=True)
class Row:
    """A row of a report: the feature, its true drift (none, moderate or drift) and severity."""

    feature: str
    drift: str
    severity: str


def rank(severity: str) -> int | None:
    """Return the rank of a severity; None if no word of it is known."""
    words = re.findall("[a-z]+", severity.lower())
    known = [place for place, names in enumerate(RANKS) if set(words) & set(names)]
    return 0 if 0 in known else max(known, default=None)


def wrong_severities(rows: Iterable[Row]) -> dict[str, str]:
    """Return the features with a wrong severity, each with the reason.

    Drift must not have the severity of a feature without drift, nor a lower one. Of two that
    contradict each other, the one in fewer rows is wrong.
    """
    rows = list(rows)
    wrong: dict[tuple[str, str], str] = {}
    for lower, higher in (("none", "drift"), ("none", "moderate"), ("moderate", "drift")):
        counts = Counter((row.drift, row.severity) for row in rows)
        right = {graded: count for graded, count in counts.items() if graded not in wrong}
        wrong |= _contradictions(right, lower, higher)
    return {
        row.feature: wrong[row.drift, row.severity]
        for row in rows
        if (row.drift, row.severity) in wrong
    }


def _contradictions(
    counts: Mapping[tuple[str, str], int], lower: str, higher: str
) -> dict[tuple[str, str], str]:
    may_be_equal = "moderate" in (lower, higher)
    wrong = {}
    for low, high in product(counts, counts):
        if (low[0], high[0]) != (lower, higher):
            continue
        if _is_inverted(low[1], high[1]) or (low[1] == high[1] and not may_be_equal):
            rarer = high if counts[high] <= counts[low] else low
            wrong[rarer] = f"'{high[1]}' for {higher}, '{low[1]}' for {lower}"
    return wrong


def _is_inverted(low: str, high: str) -> bool:
    ranks = rank(low), rank(high)
    return None not in ranks and ranks[0] > ranks[1]  # type: ignore[operator]
