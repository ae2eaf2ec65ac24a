"""The configurations of warehouses, read by Feast's own models; no warehouse is connected to."""

import os

import pytest
import yaml
from feast import RepoConfig
from feast.infra.offline_stores.bigquery import BigQueryOfflineStoreConfig
from feast.infra.offline_stores.snowflake import SnowflakeOfflineStoreConfig

from lab.settings import ROOT

pytestmark = pytest.mark.scale

CONFIGS = {"bigquery": BigQueryOfflineStoreConfig, "snowflake": SnowflakeOfflineStoreConfig}
VARIABLES = {
    "bigquery": ["GCP_PROJECT", "GCS_BUCKET"],
    "snowflake": [
        *("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_PRIVATE_KEY_FILE"),
        "S3_BUCKET",
    ],
}


@pytest.mark.parametrize("warehouse", CONFIGS)
def test_feast_reads_every_option(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[warehouse]:
        monkeypatch.setenv(name, f"a-{name.lower()}")
    folder = ROOT / "scale" / "warehouses" / warehouse
    text = os.path.expandvars((folder / "feature_store.yaml").read_text())
    given = yaml.safe_load(text)
    config = RepoConfig(repo_path=folder, **given)
    assert "$" not in yaml.safe_dump(given)
    assert type(config.offline_store) is CONFIGS[warehouse]
    read = config.offline_store.model_dump(by_alias=True)
    assert {name: read[name] for name in given["offline_store"]} == given["offline_store"]
    assert config.online_store.redis_type == "redis_cluster"
