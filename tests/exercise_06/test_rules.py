"""Prometheus's alerting rules, by its own tool, and the names that they share with the monitor."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exercise_06_monitoring.production.findings import CRITICAL
from lab.settings import settings

RULES = settings.root / "exercise_06_monitoring" / "production" / "monitoring.rules.yml"
CASES = Path(__file__).with_name("monitoring.test.yml")
PROMTOOL = shutil.which("promtool")


def promtool(*words: str, folder: Path) -> None:
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *words], cwd=folder, capture_output=True, text=True)
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


def test_the_rules_and_the_monitor_agree_on_what_is_critical_and_on_limits() -> None:
    text = RULES.read_text()
    listed = {frozenset(names.split("|")) for names in re.findall(r'check[=!]~"([^"]+)"', text)}
    assert listed == {frozenset(CRITICAL)}
    assert f"p95 > {settings.monitored_p95_ms / 1000:g}\n" in text
    assert f"error_rate > {settings.monitored_error_rate:g}\n" in text
