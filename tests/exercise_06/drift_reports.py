"""The drift report over the tables of a folder."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring import feature_monitoring
from exercise_06_monitoring.feature_monitoring import generate_drift_report
from tests.exercise_06.monitored_shop import MONITORED, views_in


def drift_report(folder: Path, moment: datetime) -> pd.DataFrame:
    """Return the report of all monitored features, by feature."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_monitoring, "read_views", lambda: views_in(folder))
        return generate_drift_report(MONITORED, moment).set_index("feature")


def drifted(report: pd.DataFrame) -> set[str]:
    return set(report.index[report["has_drift"]])
