"""Run Feast's own universal tests on the plug-ins; Feast's test suite imports this module.

Needs a checkout of the installed version of Feast with its test requirements, and an empty Redis:

    pip install ./feast_plugins
    export FULL_REPO_CONFIGS=feast_suite REDIS_ADDRESS=localhost:6379 PYTHONPATH=.:$PWD/scripts
    cd FEAST/sdk/python
    python -m pytest --integration tests/universal/offline_store tests/universal/online_store

Without FULL_REPO_CONFIGS the same command runs the tests on Feast's own stores.
"""

import os

from tests.universal.feature_repos.universal.data_sources.file import (  # type: ignore[import-not-found]
    FileDataSourceCreator,
)

from feast_plugins.asof_offline_store import AsofOfflineStoreConfig


class AsofDataSourceCreator(FileDataSourceCreator):  # type: ignore[misc]
    """Feast's Parquet sources, read by the as-of store."""

    def create_offline_store_config(self) -> AsofOfflineStoreConfig:
        """Return the store's default options."""
        return AsofOfflineStoreConfig()


AVAILABLE_OFFLINE_STORES = [("local", AsofDataSourceCreator)]
REDIS = {
    "type": "feast_plugins.redis_online_store.VersionedRedisOnlineStore",
    "connection_string": os.environ.get("REDIS_ADDRESS", "localhost:6379"),
}
AVAILABLE_ONLINE_STORES = {"redis": (REDIS, None)}
