"""Prometheus's alerting rules, by its own tool, and the metrics that the monitor exposes."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from exercise_06_monitoring.production.__main__ import build_monitor
from exercise_06_monitoring.production.metrics_exposition import write_metrics_and_report
from exercise_06_monitoring.serving import ERROR_RATE_LIMIT, P95_LIMIT_MS
from lab.settings import settings
from tests.exercise_06.test_report import ALERTS, CHECKS, DRIFT, USERS
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

RULES = settings.root / "exercise_06_monitoring" / "production" / "monitoring.rules.yml"
CASES = Path(__file__).with_name("monitoring.test.yml")
PROMTOOL = shutil.which("promtool")


def promtool(*words: str, folder: Path, text: str | None = None) -> None:
    assert PROMTOOL
    done = subprocess.run(
        [PROMTOOL, *words], cwd=folder, capture_output=True, text=True, input=text
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/system-packages promtool")
def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(CASES, tmp_path)
    promtool("check", "rules", RULES.name, folder=tmp_path)
    promtool("test", "rules", CASES.name, folder=tmp_path)


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/system-packages promtool")
def test_prometheus_takes_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml", folder=RULES.parent)


def test_the_rules_and_the_monitor_agree_on_limits() -> None:
    text = RULES.read_text()
    assert f"p95 > {P95_LIMIT_MS / 1000:g}\n" in text
    assert f"error_rate > {ERROR_RATE_LIMIT:g}\n" in text


def test_a_run_exposes_what_it_measured(tmp_path: Path, point_settings: PointSettings) -> None:
    point_settings(data_dir=tmp_path)
    page = write_metrics_and_report(AS_OF, ALERTS, pd.DataFrame(DRIFT), CHECKS)
    text = page.with_name("metrics.prom").read_text()
    assert 'feature_psi{baseline="training",feature="avg_transaction_amount"} 0.41' in text
    assert 'feature="refund_rate"' not in text, "it was not measured"
    users = f'feature_check_failed{{feature="{USERS}.'
    assert f'{users}freshness",type="data_quality"}} 1.0' in text
    assert f'{users}total_amount_30d.null_rate",type="data_quality"}} 0.0' in text
    assert 'feature="api"' not in text, "it was not measured"
    assert f"monitoring_open_alerts {len(ALERTS)}.0" in text
    assert page.exists()
    if PROMTOOL:
        promtool("check", "metrics", folder=tmp_path, text=text)


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/system-packages promtool")
def test_a_monitor_that_stopped_is_noticed(tmp_path: Path, point_settings: PointSettings) -> None:
    """Fault injection: the last run was at 00:00, and its metrics stay as they are."""
    point_settings(data_dir=tmp_path)
    midnight = datetime.fromtimestamp(0, UTC)
    monitor = build_monitor({"metrics_exposition"})  # without the part there is no metrics.prom
    page = monitor.publish(midnight, [], pd.DataFrame(DRIFT), CHECKS)
    lines = page.with_name("metrics.prom").read_text().splitlines()
    metrics = [line.split() for line in lines if line.startswith("monitoring_")]
    alert = {
        "exp_labels": {"severity": "critical"},
        "exp_annotations": {"summary": "The monitor has not run for 2h 6m 0s"},
    }
    expected = [
        {"alertname": "MonitoringMissed", "eval_time": "124m", "exp_alerts": []},
        {"alertname": "MonitoringMissed", "eval_time": "126m", "exp_alerts": [alert]},
    ]
    series = [{"series": name, "values": f"{value}x200"} for name, value in metrics]
    case = {"interval": "1m", "input_series": series, "alert_rule_test": expected}
    shutil.copy(RULES, tmp_path)
    (tmp_path / "case.yml").write_text(
        yaml.safe_dump({"rule_files": [RULES.name], "tests": [case]})
    )
    promtool("test", "rules", "case.yml", folder=tmp_path)
