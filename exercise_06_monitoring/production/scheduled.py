"""What Airflow and cron run: drift once a day, data and serving every hour.

`python -m exercise_06_monitoring.production.scheduled drift`, or quality; from any folder.
"""

import argparse
from datetime import UTC, datetime

from rich.console import Console

from exercise_06_monitoring.production import runs
from exercise_06_monitoring.production.alerts.announce import announce
from exercise_06_monitoring.production.alerts.notice import Alert
from exercise_06_monitoring.production.findings import (
    DRIFT,
    MONITORING,
    QUALITY,
    SERVING,
    check_alerts,
    drift_alerts,
    missed_alerts,
)
from exercise_06_monitoring.production.report.write import write_report
from exercise_06_monitoring.production.watch import monitored_features, watch_drift, watch_quality
from lab import dataset
from lab.errors import run_script

console = Console()


def drift(as_of: datetime) -> str:
    """Compare all features as of that moment, alert, report; the report's page."""
    as_of = _plain(as_of)
    alerts = drift_alerts(watch_drift(monitored_features(), as_of, scheduled=True))
    announce([*alerts, *_missed(as_of)], {DRIFT, MONITORING})
    return str(write_report(as_of))


def quality(as_of: datetime) -> str:
    """Check all views and the serving side as of that moment, alert, report."""
    as_of = _plain(as_of)
    data, serving = watch_quality(as_of, scheduled=True)
    alerts = [*check_alerts(QUALITY, data), *check_alerts(SERVING, serving)]
    announce([*alerts, *_missed(as_of)], {QUALITY, SERVING, MONITORING})
    return str(write_report(as_of))


def _plain(moment: datetime) -> datetime:
    """Airflow's moments are Pendulum's, whose differences are no timedelta to divide by."""
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def _missed(as_of: datetime) -> list[Alert]:
    return missed_alerts({job: runs.missed(job, as_of) for job in runs.PERIODS})


def main() -> None:
    jobs = {"drift": drift, "quality": quality}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=jobs)
    page = jobs[parser.parse_args().job](dataset.as_of())
    console.print(f"written: {page}", highlight=False)


if __name__ == "__main__":
    run_script(main)
