"""Exercise 6: is what the feature store serves still what the models were trained on?

Run it with `lab run 6`.
"""

import pandas as pd
from rich.console import Console

from exercise_06_monitoring.drift import FeatureDrift, detect_drift, statistics
from exercise_06_monitoring.drift.columns import sorted_numbers
from exercise_06_monitoring.drift.psi import psi_of
from lab.errors import run_script
from lab.settings import settings

console = Console()


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = 0.05
) -> tuple[bool, float, float]:
    """Kolmogorov and Smirnov's test: (has_drift, statistic, p_value).

    With enough rows the test calls a difference significant that nobody would notice: 1,000,000 a
    side at a statistic of 0.0019. So drift is a p-value below `threshold` and a statistic of at
    least 0.05. Nulls are left out; without a known value on both sides there is no drift, and the
    statistic and the p-value are NaN.
    """
    reference, current = sorted_numbers(reference_data), sorted_numbers(current_data)
    statistic = statistics.ks_statistic(reference, current)
    p_value = float(statistics.ks_p_value(statistic, len(reference), len(current)))
    has_drift = p_value < threshold and statistic >= settings.drift_ks_least
    return has_drift, statistic, p_value


def calculate_psi(reference_data: pd.Series, current_data: pd.Series, num_bins: int = 10) -> float:
    """The Population Stability Index: below 0.1 little has changed, above 0.25 much has.

    Bins are the reference's quantiles and open at both ends; a value that fills a whole bin has one
    of its own, and so have nulls. Each bin counts half an observation more than it has, so that an
    emptied one does not weigh without limit. NaN if either side has no rows.
    """
    if num_bins < 2:
        raise ValueError(f"a distribution needs at least 2 bins, not {num_bins}")
    return psi_of(reference_data, current_data, num_bins)


def monitor_feature_drift(feature_name: str) -> bool:
    """Compare a feature's last week with four weeks that ended a month ago; True if it drifted."""
    (drift,) = detect_drift([feature_name])
    show(drift)
    return drift.has_drift


def show(drift: FeatureDrift) -> None:
    """The test, the index, and what follows."""
    console.print(f"[bold]{drift.feature}[/] ({drift.view})", highlight=False)
    console.print(
        f"  {drift.rows_reference:,} entities then, {drift.rows_current:,} now; "
        f"KS {drift.ks_statistic:.3f} (q {drift.q_value:.2g}); "
        f"PSI {drift.psi:.3f}, up to {drift.psi_threshold:.3f} is usual here",
        highlight=False,
    )
    for reason in drift.reasons or ("no drift",):
        console.print(f"  {reason}", highlight=False)


def main() -> None:
    monitor_feature_drift("transaction_count_30d")


if __name__ == "__main__":
    run_script(main)
