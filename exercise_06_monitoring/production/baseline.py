"""Limits of PSI from each feature's own history.

The same entities are on both sides of a comparison, so a feature that grows or decays by nature has
a PSI above the brief's limit on every day. Its limit is therefore what was usual on earlier days,
and what chance gives with so few entities.
"""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from exercise_06_monitoring.feature_monitoring import PSI_MODERATE, Measure, calculate_psi
from exercise_06_monitoring.feature_monitoring import measure_view as brief_measure
from exercise_06_monitoring.windows import drift_windows, features_of

DAYS = 28
USUAL = 0.25  # the lower quartile: a drift is not usual before it has lasted for three weeks


class CalibratedLimits:
    """Measure a view as another part does, and replace the limit of each feature."""

    def __init__(self, measure: Measure = brief_measure, days: int = DAYS) -> None:
        self._measure = measure
        self._days = days
        self._past: dict[tuple[str, datetime], dict[str, float]] = {}

    def __call__(self, view: Any, now: datetime) -> list[dict[str, Any]]:
        """Return the statistics of each feature."""
        usual = self.usual_psi(view, now)
        return [
            row | {"limit": max(PSI_MODERATE, row["chance"]) + usual[row["feature"]]}
            for row in self._measure(view, now)
        ]

    def usual_psi(self, view: Any, now: datetime) -> dict[str, float]:
        """Return the lower quartile of each feature's PSI on earlier days; 0 without history."""
        moments = [now - timedelta(days=day) for day in range(1, self._days + 1)]
        past = pd.DataFrame([self.psi_at(view, moment) for moment in moments])
        return {name: float(past[name].quantile(USUAL)) for name in past} | {
            name: 0.0 for name in past if past[name].isna().all()
        }

    def psi_at(self, view: Any, moment: datetime) -> dict[str, float]:
        """Return the PSI of each feature as it was measured then; the past does not change."""
        if (view.name, moment) not in self._past:
            reference, current = drift_windows(view, moment)
            self._past[view.name, moment] = {
                name: calculate_psi(reference[name], current[name]) for name in features_of(view)
            }
        return self._past[view.name, moment]
