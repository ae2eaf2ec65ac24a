"""Prometheus's alerting rules, by its own tool, and the metrics that the monitor exposes."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from exercise_06_monitoring.production.metrics_exposition import write_metrics_and_report
from exercise_06_monitoring.serving import ERROR_RATE_LIMIT, HIT_RATE_MIN, P95_LIMIT_MS
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
    assert f"hit_rate < {HIT_RATE_MIN:g}\n" in text


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
    (last_run,) = re.findall(r"^(monitoring_last_run\S+) (\S+)$", text, re.M)
    assert (last_run[0] in RULES.read_text(), float(last_run[1])) == (True, AS_OF.timestamp())
    assert f"monitoring_open_alerts {len(ALERTS)}.0" in text
    assert page.exists()
    if PROMTOOL:
        promtool("check", "metrics", folder=tmp_path, text=text)
