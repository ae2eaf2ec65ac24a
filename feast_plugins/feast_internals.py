"""The functions of Feast that are not part of its public API and that the plug-ins call.

Feast may move or rename them in any release. All calls go through this module, and a test names
them, so that a new release that breaks one fails there.
"""

from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _redis_key, compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey


def stored_name(view: FeatureView, config: RepoConfig) -> str:
    """Return the name of a view in the online store; it ends in `_v2` where views have versions."""
    name: str = compute_versioned_name(view, config.registry.enable_online_feature_view_versioning)
    return name


def entity_key_bytes(key: EntityKey, config: RepoConfig) -> bytes:
    """Return the Redis key of an entity."""
    stored: bytes = _redis_key(config.project, key, config.entity_key_serialization_version)
    return stored


def redis_client(store: RedisOnlineStore, config: RepoConfig) -> Any:
    """Return the store's redis-py client: a Redis, or a RedisCluster."""
    return store._get_client(config.online_store)


async def async_redis_client(store: RedisOnlineStore, config: RepoConfig) -> Any:
    """Return the store's asyncio client."""
    return await store._get_client_async(config.online_store)
