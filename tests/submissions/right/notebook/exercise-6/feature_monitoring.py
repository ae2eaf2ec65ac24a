"""SQL over the feature tables, bins by quantiles, findings as records, alerts by mail."""

import json
import os
import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

DATA = Path(os.environ["LAB_FEATURE_REPO"], "data")
TABLE_OF = {
    "transaction_count_7d": "user_stats",
    "transaction_count_30d": "user_stats",
    "avg_transaction_amount": "user_stats",
    "total_amount_30d": "user_stats",
    "chargeback_rate": "merchant_stats",
    "total_transactions_30d": "merchant_stats",
    "view_count_7d": "product_stats",
    "purchase_count_30d": "product_stats",
}
DRIFT, SOME = 0.25, 0.1
MOST_NULLS, MOST_OUTLIERS = 0.05, 0.1


def detect_drift_ks_test(reference_data, current_data, threshold=0.05):
    found = ks_2samp(reference_data, current_data, method="asymp")
    return bool(found.pvalue < threshold), found.statistic, found.pvalue


def calculate_psi(reference_data, current_data, num_bins=10):
    cuts = np.unique(np.quantile(reference_data, np.linspace(0, 1, num_bins + 1)[1:-1]))

    def shares(values):
        counts = np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1)
        return (counts + 0.5) / (counts + 0.5).sum()

    before, after = shares(reference_data), shares(current_data)
    return float(np.sum((after - before) * np.log(after / before)))


def values(feature, oldest, newest):
    """A feature's values between two ages in days."""
    query = f"""
        SELECT {feature} FROM read_parquet(?)
        WHERE event_timestamp >= now() - INTERVAL {oldest} DAY
            AND event_timestamp <= now() - INTERVAL {newest} DAY AND {feature} IS NOT NULL
    """
    file = str(DATA / f"{TABLE_OF[feature]}.parquet")
    return duckdb.execute(query, [file]).df()[feature]


def generate_drift_report(features):
    rows = []
    for feature in features:
        psi = calculate_psi(values(feature, 60, 30), values(feature, 7, 0))
        severity = "high" if psi > DRIFT else "medium" if psi > SOME else "low"
        rows.append([feature, psi > DRIFT, psi, severity])
    return pd.DataFrame(rows, columns=["feature", "has_drift", "psi", "severity"])


def check_data_quality(feature_data):
    findings = []

    def find(column, check, rate, limit):
        row = {"column": column, "check": check, "value": float(rate), "passed": bool(rate < limit)}
        findings.append(row)

    for column in feature_data:
        series = feature_data[column]
        find(column, "share of nulls", series.isna().mean(), MOST_NULLS)
        if series.dtype.kind in "iuf":
            middle = series.median()
            distance = (series - middle).abs()
            find(column, "outliers", (distance > 10 * distance.median()).mean(), MOST_OUTLIERS)
    return findings


def send_alert(alert_type, feature_name, message, severity="warning"):
    mail = EmailMessage()
    mail["Subject"] = f"{severity}: {alert_type} of {feature_name}"
    mail["From"], mail["To"] = "features@example.com", os.environ["ALERT_EMAIL_TO"]
    mail.set_content(message)
    with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"])) as server:
        server.send_message(mail)


if __name__ == "__main__":
    report = generate_drift_report(list(TABLE_OF))
    file = DATA / f"{datetime.now(UTC):%Y-%m-%d}.json"
    file.write_text(json.dumps(report.to_dict("records"), indent=2))
    if "SMTP_HOST" in os.environ:
        for row in report[report["has_drift"]].itertuples():
            send_alert("drift", row.feature, f"PSI is {row.psi:.2f}", row.severity)
