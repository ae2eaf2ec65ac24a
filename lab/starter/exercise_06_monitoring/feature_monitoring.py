"""Exercise 6: detect drift and damaged data, send alerts, write a report."""

import pandas as pd

from lab.learn import script


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = 0.05
) -> tuple[bool, float, float]:
    """Return (has_drift, statistic, p_value) of the Kolmogorov-Smirnov test, without nulls."""
    # TODO 1: a million rows make any difference significant.
    raise NotImplementedError


def calculate_psi(reference_data: pd.Series, current_data: pd.Series, num_bins: int = 10) -> float:
    """Return the Population Stability Index over bins of the reference."""
    # TODO 2: values outside the reference's range count, too.
    raise NotImplementedError


def monitor_feature_drift(feature_name: str) -> bool:
    """Print the drift of one feature between days -60 to -30 and the last 7; True if it drifted."""
    # TODO 3: read real values, from the feature store's files.
    raise NotImplementedError


def check_data_quality(feature_data: pd.DataFrame) -> pd.DataFrame:
    """Return column, check, value, passed: each column's null rate, each number's outlier rate."""
    # TODO 4: return the results; what is printed sends no alert.
    raise NotImplementedError


def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> bool:
    """Post to $SLACK_WEBHOOK_URL, mail $ALERT_EMAIL_TO by $SMTP_HOST:$SMTP_PORT; False if not."""
    # TODO 5: repeat a post that failed; no error is swallowed.
    raise NotImplementedError


def generate_drift_report(features: list[str]) -> pd.DataFrame:
    """Return feature, has_drift, psi and severity; the same data give the same report."""
    # TODO 6: call the functions above, for the two windows of each feature.
    raise NotImplementedError


@script
def main() -> None:
    """Check everything, write a report below data/, and alert where something is wrong."""
    # TODO 7: call the functions.
    raise NotImplementedError
