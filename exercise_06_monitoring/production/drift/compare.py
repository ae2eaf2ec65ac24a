"""All features of two windows at once: statistics over matrices, then a verdict for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift import statistics
from exercise_06_monitoring.production.drift.measure import Measured, measure_all
from exercise_06_monitoring.production.drift.past import NO_PAST, Past
from exercise_06_monitoring.production.drift.result import FeatureDrift
from exercise_06_monitoring.production.drift.statistics import Counts, Floats
from exercise_06_monitoring.production.drift.verdict import Evidence, reasons_for, severity_of
from lab.settings import settings


def compare(reference: pd.DataFrame, current: pd.DataFrame, view: str = "") -> list[FeatureDrift]:
    """Compare every column of the reference with the same column of the current window.

    Rows are taken as independent: one per entity. A column that the current window lacks is all
    null there.
    """
    return judge(measure_all(reference, current, view), {})


@dataclass(frozen=True)
class Computed:
    """The statistics of all features: arrays of one length."""

    psi: Floats
    psi_by_chance: Floats
    ks_p_value: Floats
    q_value: Floats
    jensen_shannon: Floats


def judge(measured: Sequence[Measured], past: Mapping[str, Past]) -> list[FeatureDrift]:
    """The verdict on each measured feature; q-values and limits are over all of them."""
    if not measured:
        return []
    computed = compute(measured)
    return [
        judge_one(row, m, past.get(m.feature, NO_PAST), computed) for row, m in enumerate(measured)
    ]


def compute(measured: Sequence[Measured]) -> Computed:
    """PSI with the nulls as a bin of their own; the distance of the known values without them."""
    reference, current = bin_matrices(measured)
    known = [np.array(side) for side in zip(*(m.known for m in measured), strict=True)]
    ks_p = statistics.ks_p_value(np.array([m.ks for m in measured]), *known)
    chi_p = np.array([m.chi_square_p_value for m in measured])
    significance = settings.drift_significance / len(measured)
    return Computed(
        psi=statistics.psi(reference, current),
        psi_by_chance=statistics.psi_by_chance(reference, current, significance),
        ks_p_value=ks_p,
        q_value=statistics.false_discovery(np.where(np.isnan(chi_p), ks_p, chi_p)),
        jensen_shannon=statistics.jensen_shannon(reference[:, :-1], current[:, :-1]),
    )


def judge_one(row: int, m: Measured, past: Past, computed: Computed) -> FeatureDrift:
    """The verdict on the feature of that row of the arrays."""
    psi, q_value = float(computed.psi[row]), float(computed.q_value[row])
    threshold = past.usual_psi + float(computed.psi_by_chance[row])
    evidence = Evidence(m, past, psi, threshold, q_value, features=len(computed.psi))
    reasons = reasons_for(evidence)
    return FeatureDrift(
        feature=m.feature,
        view=m.view,
        kind=m.kind,
        psi=psi,
        psi_threshold=threshold,
        ks_statistic=m.ks,
        ks_p_value=float(computed.ks_p_value[row]),
        q_value=q_value,
        wasserstein=m.wasserstein,
        jensen_shannon=float(computed.jensen_shannon[row]),
        chi_square_p_value=m.chi_square_p_value,
        null_rate_reference=rate(m.nulls[0], m.rows[0]),
        null_rate_current=rate(m.nulls[1], m.rows[1]),
        rows_reference=m.rows[0],
        rows_current=m.rows[1],
        has_drift=bool(reasons),
        severity=severity_of(evidence, reasons),
        reasons=reasons,
        reference_histogram=m.histogram(m.reference),
        current_histogram=m.histogram(m.current),
        change_rate_reference=past.steps[0].rate,
        change_rate_current=past.steps[1].rate,
        ended=past.ended,
    )


def bin_matrices(measured: Sequence[Measured]) -> tuple[Counts, Counts]:
    """Counts of both windows, (features, bins), the nulls last; what a feature lacks is zero."""
    bins = max(len(m.reference) for m in measured)
    reference, current = (np.zeros((len(measured), bins + 1), dtype=np.int64) for _ in range(2))
    for row, m in enumerate(measured):
        reference[row, : len(m.reference)], reference[row, -1] = m.reference, m.nulls[0]
        current[row, : len(m.current)], current[row, -1] = m.current, m.nulls[1]
    return reference, current


def rate(part: int, whole: int) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else float("nan")
