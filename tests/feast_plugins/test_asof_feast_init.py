"""The repository that `feast init` makes, run to its end with the as-of store."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from feast.repo_operations import init_repo

from tests.feast_plugins.asof_repo import OURS

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


def test_the_sample_repository_runs_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event times have a zone and its created ones none; its label view has no rows.

    It joins, materializes, and pushes a row to the online and to the offline store.
    """
    monkeypatch.chdir(tmp_path)
    init_repo("sample", "local")
    folder = tmp_path / "sample" / "feature_repo"
    with (folder / "feature_store.yaml").open("a") as file:
        file.write(f"offline_store:\n    type: {OURS}\n")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN],
        cwd=folder,
        env={"PYTHONPATH": f"{root}:{folder}", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pushed = done.stdout.split("updated values")[1]
    assert "conv_rate_plus_val1  :  [1001.0, " in pushed
    rows = pq.read_table(folder / "data" / "driver_stats.parquet")
    last = rows.slice(len(rows) - 1).to_pylist()[0]
    assert last["driver_profile"] == {"name": "driver_1001_updated", "age": "30"}
