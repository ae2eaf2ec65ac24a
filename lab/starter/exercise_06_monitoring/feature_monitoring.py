"""Exercise 6: notice when features drift or break, and tell somebody."""

import pandas as pd


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = 0.05
) -> tuple[bool, float, float]:
    """Whether the distributions differ by the Kolmogorov-Smirnov test, its statistic, its p."""
    # TODO 1
    raise NotImplementedError


def calculate_psi(reference_data: pd.Series, current_data: pd.Series, num_bins: int = 10) -> float:
    """The Population Stability Index over bins of the reference."""
    # TODO 2: what lies outside the reference's range counts too.
    raise NotImplementedError


def monitor_feature_drift(feature_name: str) -> bool:
    """Whether a feature of the last 7 days differs from days -60 to -30."""
    # TODO 3: real values, from the feature store's files.
    raise NotImplementedError


def check_data_quality(feature_data: pd.DataFrame) -> pd.DataFrame:
    """Columns column, check, value, passed: the rates of nulls and outliers of each column."""
    # TODO 4: return what you find; printing it tells nobody.
    raise NotImplementedError


def send_alert(alert_type: str, feature_name: str, message: str, severity: str = "warning") -> None:
    """Tell by Slack and by mail.

    Receivers: $SLACK_WEBHOOK_URL, $SMTP_HOST, $SMTP_PORT, $ALERT_EMAIL_TO.
    """
    # TODO 5: a receiver that is away once is tried again; no error is swallowed.
    raise NotImplementedError


def generate_drift_report(features: list[str]) -> pd.DataFrame:
    """Columns feature, has_drift, psi, severity; the same data give the same report."""
    # TODO 6
    raise NotImplementedError


def main() -> None:
    """Check, report, and alert where something is wrong."""
    # TODO 7: call the functions, and end the file with `if __name__ == "__main__": main()`.
    raise NotImplementedError
