"""A Feast repository for the tests of the online reader: every type, entity and sort of service."""

import shutil
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    RequestSource,
    ValueType,
)
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.on_demand_feature_view import on_demand_feature_view
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

from lab.stack.redis import RedisServer

Row = Mapping[str, Any]

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PROJECT = "reader"
# Feast's SDK caches what it reads of a SQL registry by the `id()` of these: they stay alive, so
# that no later one has the same.
USED: list[object] = []

SCALAR_TYPES = [Int32, Int64, Float32, Float64, String, Bool, Bytes, UnixTimestamp]
TYPES = {kind.name.lower(): kind for kind in SCALAR_TYPES}
TYPES |= {f"{name}_list": Array(kind) for name, kind in TYPES.items()}

user = Entity(name="user_id", value_type=ValueType.STRING)
shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
shelf = Entity(name="shelf_id", value_type=ValueType.INT32)
KEY_TYPES = {"user_id": String, "shop_id": Int64, "shelf_id": Int32}


def feature_view(
    name: str, entities: Sequence[Entity], types: Mapping[str, Any], ttl: timedelta
) -> FeatureView:
    """Return a view whose source is never read: tests write to Redis."""
    keys = {entity.join_key: KEY_TYPES[entity.join_key] for entity in entities}
    return FeatureView(
        name=name,
        entities=list(entities),
        ttl=ttl,
        schema=[Field(name=field, dtype=kind) for field, kind in {**keys, **types}.items()],
        source=FileSource(name=name, path=f"{name}.parquet", timestamp_field="time"),
    )


class Repo:
    """Its views and services, applied to a registry, over one Redis."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._server = server
        self._connect()
        self._define()
        self.store.apply([user, shop, shelf, *self.views.values(), *self.services.values()])

    def _connect(self) -> None:
        self.config = self.config_at(f"127.0.0.1:{self._server.port}")
        self.store = FeatureStore(config=self.config)

    def copied(self, folder: Path) -> Self:
        """Return the same repository with a registry of its own, which a test may change."""
        folder.mkdir(parents=True)
        shutil.copy(self.folder / "registry.db", folder)
        copied = copy(self)
        copied.folder = folder
        copied._connect()
        return copied

    def config_at(self, connection_string: str) -> RepoConfig:
        """Return this repository's configuration over another Redis."""
        return RepoConfig(
            repo_path=self.folder,
            project=PROJECT,
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{self.folder}/registry.db"},
            offline_store={"type": "duckdb"},
            online_store={"type": "redis", "connection_string": connection_string},
            entity_key_serialization_version=3,
        )

    def _define(self) -> None:
        stats, word = {"count": Int64, "mean": Float32}, {"word": String}
        stored = [
            feature_view("types", [user], TYPES, timedelta(days=3_000_000)),  # before year 1
            feature_view("stats", [user], stats, DAY),
            feature_view("brief", [user], {"clicks": Int64}, HOUR),
            feature_view("forever", [user], word, timedelta(0)),
            feature_view("pair", [user, shop], {"visits": Int64}, DAY),
            feature_view("shelves", [shelf], {"items": Int32}, DAY),
            feature_view("all_users", [], {"total": Int64}, DAY),
        ]
        self.views: dict[str, Any] = {view.name: view for view in stored}
        self.views |= {view.name: view for view in on_demand_views(self.views["stats"])}
        named = self.views
        services = {
            "types": [named["types"]],
            "stats": [named["stats"]],
            "some": [named["types"][["string", "int64_list"]], named["stats"][["mean"]]],
            "entities": [named["pair"], named["shelves"], named["forever"]],
            "of_all": [named["all_users"], named["stats"]],
            "only_of_all": [named["all_users"]],
            "expiring": [named["stats"], named["brief"], named["forever"]],
            "computed": [named["forever"], named["ratios"], named["kinds"]],
            "computed_only": [named["ratios"][["ratio"]]],
            "two_users": [
                named["stats"].with_name("payer").with_join_key_map({"user_id": "payer_id"}),
                named["stats"].with_name("payee").with_join_key_map({"user_id": "payee_id"}),
            ],
        }
        self.services = {
            name: FeatureService(name=name, features=features)
            for name, features in services.items()
        }

    def write(
        self, view: str, entity: Mapping[str, Any], values: Row, at: datetime = NOW - 0.5 * HOUR
    ) -> None:
        """Store a row as Feast does."""
        types = {field.name: field.dtype.to_value_type() for field in self.views[view].features}
        protos = {
            name: python_values_to_proto_values([value], types[name])[0]
            for name, value in values.items()
        }
        kinds = {"shop_id": "int64_val", "shelf_id": "int32_val"}
        keys = [Value(**{kinds.get(key, "string_val"): value}) for key, value in entity.items()]
        row = (EntityKey(join_keys=list(entity), entity_values=keys), protos, at, None)
        RedisOnlineStore().online_write_batch(self.config, self.views[view], [row], None)

    def sdk(self, service: str, rows: Mapping[str, Sequence[Any]], **options: Any) -> Any:
        """Return Feast's own answer."""
        USED.append(self.store.registry.cached_registry_proto)
        return self.store.get_online_features(self.services[service], dict(rows), **options)


def on_demand_views(stats: FeatureView) -> list[Any]:
    """Views computed from `stats` and a request."""
    payment = RequestSource(name="payment", schema=[Field(name="amount", dtype=Float64)])

    @on_demand_feature_view(
        sources=[stats, payment],
        schema=[Field(name="ratio", dtype=Float64), Field(name="rounded", dtype=Float32)],
        mode="python",
    )
    def ratios(inputs: dict[str, Any]) -> dict[str, Any]:
        import numpy as np  # Feast keeps a function without the module around it

        pairs = list(zip(inputs["amount"], inputs["mean"], strict=True))
        return {
            "ratio": [amount / mean if mean else None for amount, mean in pairs],
            "rounded": [np.float32(amount / 3) for amount in inputs["amount"]],
        }

    @on_demand_feature_view(
        sources=[stats],
        schema=[
            Field(name="whole", dtype=Int64),
            Field(name="text", dtype=String),
            Field(name="is_many", dtype=Bool),
            Field(name="instant", dtype=UnixTimestamp),
            Field(name="series", dtype=Array(Float64)),
            Field(name="seen", dtype=String),
        ],
        mode="python",
    )
    def kinds(inputs: dict[str, Any]) -> dict[str, Any]:
        from datetime import UTC, datetime

        counts = [count or 0 for count in inputs["stats__count"]]
        return {
            "whole": [count + 1 for count in counts],
            "text": [f"<{count}>" for count in counts],
            "is_many": [count > 5 for count in counts],
            "instant": [datetime.fromtimestamp(count, UTC) for count in counts],
            "series": [[count / 3] for count in counts],
            "seen": [" ".join(sorted(inputs))] * len(counts),
        }

    return [ratios, kinds]
