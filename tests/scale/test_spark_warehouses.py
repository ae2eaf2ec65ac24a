"""The configurations of warehouses, read by Feast's own models; no warehouse is connected to."""

import os
import re

import pytest
import yaml
from feast import RepoConfig
from feast.infra.offline_stores.bigquery import BigQueryOfflineStoreConfig
from feast.infra.offline_stores.snowflake import SnowflakeOfflineStoreConfig

from lab.settings import ROOT

pytestmark = pytest.mark.scale

CONFIGS = {"bigquery": BigQueryOfflineStoreConfig, "snowflake": SnowflakeOfflineStoreConfig}


@pytest.mark.parametrize("warehouse", CONFIGS)
def test_feast_reads_every_option(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ROOT / "scale" / "warehouses" / warehouse / "feature_store.yaml"
    for name in re.findall(r"\$\{?(\w+)", file.read_text()):
        monkeypatch.setenv(name, f"a-{name.lower()}")
    given = yaml.safe_load(os.path.expandvars(file.read_text()))
    config = RepoConfig(repo_path=file.parent, **given)
    assert type(config.offline_store) is CONFIGS[warehouse]
    read = config.offline_store.model_dump(by_alias=True)
    assert {name: read[name] for name in given["offline_store"]} == given["offline_store"]
    assert config.online_store.redis_type == "redis_cluster"
