"""When a feature has drifted, how badly, and why: in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exercise_06_monitoring.production.drift.measure import Measured
from exercise_06_monitoring.production.drift.past import Past
from exercise_06_monitoring.production.drift.result import Severity
from exercise_06_monitoring.production.drift.statistics import proportion_p_value
from lab.settings import settings

FEW_STEPS = 0.01  # a feature that hardly ever moves is not frozen
FROZEN = 0.1


@dataclass(frozen=True)
class Evidence:
    """A feature's counts, its past, and what was computed; `features` are judged together."""

    measured: Measured
    past: Past
    psi: float
    psi_threshold: float
    q_value: float
    features: int

    def differs(self, before: tuple[int, int], now: tuple[int, int]) -> bool:
        """Whether two shares, as (part, whole), differ by more than chance gives any feature."""
        counts = [np.array([count]) for count in (*before, *now)]
        return bool(proportion_p_value(*counts)[0] < settings.drift_significance / self.features)


def reasons_for(evidence: Evidence) -> tuple[str, ...]:
    """Why it drifted, one sentence each; none if it did not."""
    rows, rows_now = evidence.measured.rows
    if rows == 0:
        return ()
    if rows_now == 0:
        return ("there are no current rows",)
    found = (rule(evidence) for rule in (distribution, nulls, newcomer, frozen))
    return tuple(reason for reason in found if reason)


def distribution(evidence: Evidence) -> str | None:
    """An effect that matters (PSI), above what is usual here, and beyond chance (the q-value)."""
    limit = max(settings.drift_psi_medium, evidence.psi_threshold)
    is_certain = evidence.q_value < settings.drift_significance
    if not (evidence.psi >= limit and is_certain):
        return None
    return (
        f"the values are distributed otherwise: PSI {evidence.psi:.3g}, "
        f"above {limit:.3g} (q {evidence.q_value:.2g})"
    )


def nulls(evidence: Evidence) -> str | None:
    """More nulls or fewer, by enough to matter."""
    (hits, hits_now), (rows, rows_now) = evidence.measured.nulls, evidence.measured.rows
    before, now = hits / rows, hits_now / rows_now
    matters = abs(now - before) >= settings.drift_null_change
    if not matters or not evidence.differs((hits, rows), (hits_now, rows_now)):
        return None
    return f"nulls went from {before:.1%} to {now:.1%}"


def newcomer(evidence: Evidence) -> str | None:
    """A category that the reference lacks, too frequent to have been there and not been met."""
    known, known_now = evidence.measured.known
    if evidence.measured.newcomer is None or known == 0:
        return None
    label, rows = evidence.measured.newcomer
    matters = rows / known_now >= settings.drift_new_category
    if not matters or not evidence.differs((0, known), (rows, known_now)):
        return None
    return f"{rows / known_now:.1%} of the values are {label}, which was not there before"


def frozen(evidence: Evidence) -> str | None:
    """Values that moved from day to day, and hardly do so any more."""
    before, now = evidence.past.steps
    if 0 in (before.all, now.all) or before.rate < FEW_STEPS or now.rate > FROZEN * before.rate:
        return None
    if not evidence.differs((before.moved, before.all), (now.moved, now.all)):
        return None
    return (
        f"{now.rate:.1%} of the values moved from a day to the next, and {before.rate:.1%} before"
    )


def severity_of(evidence: Evidence, reasons: Sequence[str]) -> Severity:
    """High where PSI is above its upper border, or where values stopped coming or moving."""
    if not reasons:
        return "low"
    stopped = evidence.measured.rows[1] == 0 or frozen(evidence)
    return "high" if stopped or evidence.psi >= settings.drift_psi_high else "medium"
