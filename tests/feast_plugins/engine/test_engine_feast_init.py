"""A new `feast init` repository runs to its end with the engine, the store and the reader."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from feast import FeatureStore
from feast.cli.cli import cli
from feast.repo_operations import init_repo

from feast_plugins.online_errors import UnreadableService
from feast_plugins.online_reader import OnlineReader
from lab.stack.redis import RedisServer

CONFIG = """
project: shop
registry: data/registry.db
provider: local
offline_store:
  type: duckdb
batch_engine:
  type: feast_plugins.columnar_engine.ColumnarEngine
online_store:
  type: feast_plugins.redis_online_store.VersionedRedisOnlineStore
  connection_string: ${SHOP_REDIS}
entity_key_serialization_version: 3
"""


@pytest.fixture
def repo(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_REDIS", server.address)
    monkeypatch.setattr(sys, "path", sys.path[:])  # Feast adds the repository
    init_repo("shop", "local")
    folder = tmp_path / "shop" / "feature_repo"
    (folder / "feature_store.yaml").write_text(CONFIG)
    yield folder
    sys.modules.pop("feature_definitions", None)


def feast(*arguments: str) -> None:
    """Run Feast's command line."""
    result = CliRunner().invoke(cli, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def test_a_new_repository_runs_to_its_end(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feast("--chdir", str(repo), "apply")
    monkeypatch.chdir(repo)  # where Feast's duckdb store looks for relative paths
    now = (datetime.now(UTC) + timedelta(minutes=1)).replace(tzinfo=None, microsecond=0)
    feast("materialize-incremental", now.isoformat())
    monkeypatch.chdir("/")
    store = FeatureStore(repo_path=str(repo))
    rows = {"driver_id": [1001, 1005]}
    feature = "driver_hourly_stats:conv_rate"
    theirs = store.get_online_features([feature], rows).to_dict()["conv_rate"]
    assert all(0 <= rate <= 1 for rate in theirs)
    views = ["driver_hourly_stats"]
    with OnlineReader.open(store.config, "driver_activity_v1", views=views) as reader:
        assert reader.read(rows).values["conv_rate"] == theirs
    with pytest.raises(UnreadableService, match="its mode is pandas"):
        OnlineReader.open(store.config, "driver_activity_v1")
