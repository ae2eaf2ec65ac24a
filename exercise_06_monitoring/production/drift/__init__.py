"""Drift: two windows of features compared, all features at once."""

from exercise_06_monitoring.production.drift.compare import compare
from exercise_06_monitoring.production.drift.result import FeatureDrift, Histogram
from exercise_06_monitoring.production.drift.windows import (
    Windows,
    compare_windows,
    detect_drift,
    feature_windows,
    psi_history,
)

__all__ = [
    "FeatureDrift",
    "Histogram",
    "Windows",
    "compare",
    "compare_windows",
    "detect_drift",
    "feature_windows",
    "psi_history",
]
