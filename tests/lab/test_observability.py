"""The dashboard, the routes of alerts, and the times in Redis, each read by its own tool.

`make observability` runs them under load.
"""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
import yaml

from lab.settings import settings

FOLDER = settings.root / "observability"
DASHBOARD = FOLDER / "grafana" / "dashboards" / "feature_store.json"
# Grafana's own types: what they do not know is lost on the way
ROUND_TRIP = """
import sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
import json
register_default_plugins()
print(JSONEncoder().encode(Dashboard.from_json(json.load(sys.stdin))))
"""
PROMTOOL, AMTOOL = shutil.which("promtool"), shutil.which("amtool")
ROUTES = {
    "severity=critical": "on_call,team",
    "severity=warning": "team",
    "alertname=Heartbeat": "heartbeat",
}
MOMENTS = ["2024-02-29T23:59:59", "2026-01-01T00:00:00", "2026-03-01T12:30:00.250000"]


def run(*command: str, text: str = "") -> str:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_the_dashboard_has_the_form_of_grafana() -> None:
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project"]
    sdk = "grafana-foundation-sdk==0.0.21"
    dashboard = json.loads(DASHBOARD.read_text())
    read = json.loads(
        run(*uv, "--with", sdk, "python", "-c", ROUND_TRIP, text=json.dumps(dashboard))
    )
    assert without_defaults(read, dashboard) == dashboard


def without_defaults(read: object, written: object) -> object:
    """Return what was read, without keys that were not written."""
    if isinstance(read, dict) and isinstance(written, dict):
        return {k: without_defaults(v, written[k]) for k, v in read.items() if k in written}
    if isinstance(read, list) and isinstance(written, list):
        return [without_defaults(*pair) for pair in zip(read, written, strict=True)]
    return read


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/system-packages promtool")
def test_the_expressions_are_promql(tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "p", "rules": rules}]}))
    assert len(rules) > 15
    run(str(PROMTOOL), "check", "rules", str(tmp_path / "rules.yml"))


@pytest.mark.skipif(
    AMTOOL is None, reason="no amtool: scripts/system-packages prometheus-alertmanager"
)
@pytest.mark.parametrize("label", ROUTES)
def test_an_alert_reaches_its_receivers(label: str) -> None:
    file = f"--config.file={FOLDER / 'alertmanager.yml'}"
    assert run(str(AMTOOL), "config", "routes", "test", file, label).strip() == ROUTES[label]


def test_the_times_in_redis_are_seconds_since_1970(client: redis.Redis) -> None:
    moments = {
        f"view_{n}": datetime.fromisoformat(m).replace(tzinfo=UTC) for n, m in enumerate(MOMENTS)
    }
    stored = {view: moment.isoformat() for view, moment in moments.items()}
    client.hset("materialized_until:ml_platform_features", mapping=stored)
    client.set("user_streaming_features:progress", 1_700_000_000_500)
    found = [item.decode() for item in client.eval((FOLDER / "redis_metrics.lua").read_text(), 0)]
    values = dict(zip(found[::2], map(float, found[1::2]), strict=True))
    assert values.pop("streaming_progress") == 1_700_000_000.5
    assert values == {f"materialized_until:{view}": at.timestamp() for view, at in moments.items()}
