from typing import Tuple

import numpy as np
import pandas as pd
from feast import FeatureStore
from scipy import stats

store = FeatureStore(repo_path=".")


def detect_drift_ks_test(
    reference_data: pd.Series, current_data: pd.Series, threshold: float = 0.05
) -> Tuple[bool, float, float]:
    statistic, p_value = stats.ks_2samp(reference_data, current_data)
    return p_value < threshold, statistic, p_value


def calculate_psi(reference_data, current_data, num_bins=10):
    edges = np.histogram_bin_edges(reference_data, bins=num_bins)
    before = np.histogram(reference_data, bins=edges)[0] / len(reference_data) + 1e-10
    after = np.histogram(current_data, bins=edges)[0] / len(current_data) + 1e-10
    return np.sum((after - before) * np.log(after / before))


def check_data_quality(feature_data):
    for column in feature_data.columns:
        print(column, feature_data[column].isnull().mean())


def send_alert(alert_type, feature_name, message, severity="warning"):
    print(f"[{severity}] {alert_type}, {feature_name}: {message}")


def generate_drift_report(features: List[str]) -> pd.DataFrame:
    rows = []
    for feature in features:
        psi = np.random.uniform(0, 0.4)
        has_drift = np.random.random() > 0.8
        rows.append({"feature": feature, "has_drift": has_drift, "psi": psi, "severity": "low"})
    return pd.DataFrame(rows)


report = generate_drift_report(["transaction_count_7d", "chargeback_rate"])
