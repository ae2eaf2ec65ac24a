"""A new `feast init` repository runs to its end, with each plug-in and with all of them."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from feast import FeatureStore
from feast.cli.cli import cli
from feast.repo_operations import init_repo

from feast_plugins.online_errors import UnreadableService
from feast_plugins.online_reader import OnlineReader
from lab.settings import settings
from lab.stack.redis import RedisServer
from tests.feast_plugins.engine.engine_repo import ENGINE

ADDRESS = {"connection_string": "${SHOP_REDIS}"}
STORE = {"online_store": {**ENGINE["online_store"], **ADDRESS}}
PARTS: dict[str, dict[str, Any]] = {
    "offline store": {"offline_store": ENGINE["offline_store"]},
    "online store": {"offline_store": {"type": "duckdb"}, **STORE},
    "engine": {
        "offline_store": {"type": "duckdb"},
        "online_store": {"type": "redis", **ADDRESS},
        "batch_engine": ENGINE["batch_engine"],
    },
    "all": {**ENGINE, **STORE},
}

# The sample's own workflow, whose two commands run in this process: each takes seconds to start.
RUN = """
from pathlib import Path
from types import SimpleNamespace

import test_workflow
from feast import FeatureStore
from feast.repo_operations import apply_total


def run(command):
    store = FeatureStore(repo_path=".")
    if command == ["feast", "apply"]:
        apply_total(store.config, Path("."), skip_source_validation=False)
    else:
        store.teardown()


test_workflow.subprocess = SimpleNamespace(run=run)
test_workflow.run_demo()
"""


@pytest.fixture
def make(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Return a function that makes a repository with some of the plug-ins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_REDIS", server.address)
    monkeypatch.setattr(sys, "path", sys.path[:])  # Feast adds the repository
    monkeypatch.delitem(sys.modules, "feature_definitions", raising=False)

    def made(parts: str) -> Path:
        init_repo("shop", "local")
        folder = tmp_path / "shop" / "feature_repo"
        config = yaml.safe_load((folder / "feature_store.yaml").read_text()) | PARTS[parts]
        (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
        return folder

    return made


@pytest.mark.parametrize("parts", PARTS)
def test_the_sample_workflow_runs_to_its_end(parts: str, make: Callable[[str], Path]) -> None:
    """Its event times have a zone and its created ones none; its label view has no rows.

    It joins, materializes, and pushes a row to the online and to the offline store, of which
    Feast's duckdb does not keep the order.
    """
    folder = make(parts)
    paths = f"{settings.root}:{folder}"
    command = ["env", f"PYTHONPATH={paths}", sys.executable, "-W", "ignore", "-c", RUN]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "conv_rate_plus_val1  :  [1001.0, " in done.stdout.split("updated values")[1]
    rows = pq.read_table(folder / "data" / "driver_stats.parquet")
    assert {"name": "driver_1001_updated", "age": "30"} in rows["driver_profile"].to_pylist()


def feast(*arguments: str) -> None:
    """Run Feast's command line."""
    result = CliRunner().invoke(cli, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def test_the_command_line_and_the_reader(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make("all")
    feast("--chdir", str(folder), "apply")
    now = (datetime.now(UTC) + timedelta(minutes=1)).replace(tzinfo=None, microsecond=0)
    feast("--chdir", str(folder), "materialize-incremental", now.isoformat())
    store = FeatureStore(repo_path=str(folder))
    rows = {"driver_id": [1001, 1005]}
    theirs = store.get_online_features(["driver_hourly_stats:conv_rate"], rows).to_dict()
    assert all(0 <= rate <= 1 for rate in theirs["conv_rate"])
    views = ["driver_hourly_stats"]
    with OnlineReader.open(store.config, "driver_activity_v1", views=views) as reader:
        assert reader.read(rows).values["conv_rate"] == theirs["conv_rate"]
    with pytest.raises(UnreadableService, match="its mode is pandas"):
        OnlineReader.open(store.config, "driver_activity_v1")
