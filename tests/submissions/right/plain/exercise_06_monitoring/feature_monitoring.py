import json
import os
import smtplib
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

DATA = Path("data")
TABLES = ["user_stats", "merchant_stats", "product_stats"]
FEATURES = [
    "transaction_count_7d",
    "transaction_count_30d",
    "mean_amount",
    "chargeback_rate",
    "refund_rate",
]
ATTEMPTS = 3


def detect_drift_ks_test(reference_data, current_data, threshold=0.05):
    statistic, p_value = stats.ks_2samp(reference_data.dropna(), current_data.dropna())
    return p_value < threshold, statistic, p_value


def calculate_psi(reference_data, current_data, num_bins=10):
    """Bins of equal width over the reference; the outer ones are open."""
    reference, current = reference_data.dropna(), current_data.dropna()
    edges = np.linspace(reference.min(), reference.max(), num_bins + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    expected = np.histogram(reference, bins=edges)[0] / len(reference)
    actual = np.histogram(current, bins=edges)[0] / len(current)
    expected, actual = expected.clip(1e-4), actual.clip(1e-4)
    return ((actual - expected) * np.log(actual / expected)).sum()


def windows(feature):
    """The values of days -60 to -30, and of the last 7 days."""
    tables = [pd.read_parquet(DATA / f"{name}.parquet") for name in TABLES]
    (table,) = [table for table in tables if feature in table]
    age = datetime.now(UTC) - table["event_timestamp"]
    before = (age > timedelta(days=30)) & (age <= timedelta(days=60))
    return table.loc[before, feature], table.loc[age <= timedelta(days=7), feature]


def drift_of(feature):
    reference, current = windows(feature)
    psi = calculate_psi(reference, current)
    has_drift = detect_drift_ks_test(reference, current)[0] or psi > 0.25
    severity = "high" if psi > 0.25 else "medium" if psi > 0.1 else "low"
    return {"feature": feature, "has_drift": has_drift, "psi": psi, "severity": severity}


def generate_drift_report(features):
    return pd.DataFrame([drift_of(feature) for feature in features])


def check_data_quality(feature_data):
    found = {}
    for column in feature_data:
        values = feature_data[column]
        found[column] = {"null_rate": values.isna().mean()}
        if pd.api.types.is_numeric_dtype(values):
            low, high = values.quantile(0.25), values.quantile(0.75)
            margin = 1.5 * (high - low)
            outside = (values < low - margin) | (values > high + margin)
            found[column]["outlier_rate"] = outside.mean()
    return found


def post(url, text):
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    for attempt in range(ATTEMPTS):
        try:
            urllib.request.urlopen(request, timeout=10).close()
            return
        except urllib.error.URLError as error:
            print("Slack:", error)
            time.sleep(0.1 * 2**attempt)


def mail(host, to, text):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = text, "monitor@example.com", to
    message.set_content(text)
    with smtplib.SMTP(host, int(os.environ.get("SMTP_PORT", "25")), timeout=10) as server:
        server.send_message(message)


def send_alert(alert_type, feature_name, message, severity="warning"):
    text = f"[{severity}] {alert_type} in {feature_name}: {message}"
    print(text)
    if "SLACK_WEBHOOK_URL" in os.environ:
        post(os.environ["SLACK_WEBHOOK_URL"], text)
    if "SMTP_HOST" in os.environ:
        mail(os.environ["SMTP_HOST"], os.environ["ALERT_EMAIL_TO"], text)


def main():
    report = generate_drift_report(FEATURES)
    folder = DATA / os.environ.get("REPORTS", "reports")
    folder.mkdir(exist_ok=True)
    report.to_csv(folder / f"drift_{datetime.now():%Y%m%d}.csv", index=False)
    for row in report[report["has_drift"]].to_dict("records"):
        send_alert("drift", row["feature"], f"PSI {row['psi']:.2f}", row["severity"])


if __name__ == "__main__":
    main()
