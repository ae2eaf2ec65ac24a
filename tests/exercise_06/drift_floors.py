"""The drift report of the solution and of production, over the tables of a folder."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring import feature_monitoring
from exercise_06_monitoring.feature_monitoring import Measure, generate_drift_report, measure_view
from exercise_06_monitoring.production.baseline import CalibratedLimits
from tests.exercise_06.monitored_shop import MONITORED, views_in


def make_measure(floor: str) -> Measure:
    return measure_view if floor == "solution" else CalibratedLimits()


def drift_report(folder: Path, moment: datetime, measure: Measure) -> pd.DataFrame:
    """Return the report of all monitored features, by feature."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_monitoring, "read_views", lambda: views_in(folder))
        return generate_drift_report(MONITORED, moment, measure).set_index("feature")


def drifted(report: pd.DataFrame) -> set[str]:
    return set(report.index[report["has_drift"]])
