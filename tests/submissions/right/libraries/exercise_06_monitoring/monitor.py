"""The daily run: a report as a file, and one message of all drifted features to Slack."""

import argparse
import os
from datetime import UTC, datetime

import requests
from feature_monitoring import DATA, generate_drift_report
from requests.adapters import HTTPAdapter, Retry

MONITORED = [
    "transaction_count_7d",
    "transaction_count_30d",
    "mean_amount",
    "total_amount_30d",
    "chargeback_rate",
    "total_transactions_30d",
]
RETRY = Retry(total=4, backoff_factor=0.1, status_forcelist=[429, 500, 503], allowed_methods=None)


def slack(lines):
    """Post the lines; a failure after all retries ends the run with an error."""
    url = os.environ["SLACK_WEBHOOK_URL"]
    with requests.Session() as session:
        session.mount(url, HTTPAdapter(max_retries=RETRY))
        session.post(url, json={"text": "\n".join(lines)}, timeout=10).raise_for_status()


def run(args):
    report = generate_drift_report(args.features)
    report.to_html(DATA / f"drift_{datetime.now(UTC):%Y%m%d}.html", index=False)
    drifted = report[report["has_drift"]]
    rows = drifted.itertuples()
    lines = [f"{row.severity}: {row.feature} has a PSI of {row.psi:.2f}" for row in rows]
    print("\n".join(lines) or "nothing has drifted")
    if lines and "SLACK_WEBHOOK_URL" in os.environ:
        slack(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    daily = commands.add_parser("run", help="check the features of the last week")
    daily.add_argument("features", nargs="*", default=MONITORED)
    daily.set_defaults(call=run)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
