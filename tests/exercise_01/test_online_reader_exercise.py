"""The services of the exercises' own feature repository: the reader answers as Feast's SDK does."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from random import Random
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore, FeatureView, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_pa, python_values_to_proto_values

from feast_plugins.online_reader import OnlineReader
from lab.settings import settings
from lab.stack.redis import private_redis
from tests.settings_in_force import settings_in_force

FEATURES = settings.feature_repo / "features.py"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
IDS = {"user_id": "user_{}", "merchant_id": "merchant_{}", "product_id": "product_{}"}
STORED = 30


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The repository's definitions, over sources without rows."""
    folder = tmp_path_factory.mktemp("data")
    with settings_in_force(data_dir=folder), pytest.MonkeyPatch.context() as patch:
        spec = spec_from_file_location("exercise_features", FEATURES)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        for view in stored_views(module):
            columns: dict[str, Any] = {view.entities[0]: pa.string()}
            columns |= {
                f.name: feast_value_type_to_pa(f.dtype.to_value_type()) for f in view.features
            }
            times = ("event_timestamp", "created_timestamp")
            columns |= {name: pa.timestamp("us", "UTC") for name in times}
            pq.write_table(pa.schema(columns).empty_table(), view.batch_source.path)
        yield module


def stored_views(module: ModuleType) -> list[FeatureView]:
    return [value for value in vars(module).values() if isinstance(value, FeatureView)]


@pytest.fixture(scope="module")
def store(features: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    folder = tmp_path_factory.mktemp("repo")
    with private_redis(folder / "redis") as server:
        config = RepoConfig(
            repo_path=folder,
            project="exercise",
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
            online_store={"type": "redis", "connection_string": f"127.0.0.1:{server.port}"},
            entity_key_serialization_version=3,
        )
        made = FeatureStore(config=config)
        views = stored_views(features)
        entities = [features.user, features.merchant, features.product]
        services = [features.fraud_detection, features.recommendation]
        made.apply([*entities, *views, features.transaction_request_features, *services])
        for view in views:
            RedisOnlineStore().online_write_batch(config, view, some_rows(view), None)
        yield made


def some_rows(view: FeatureView) -> list[Any]:
    random = Random(view.name)
    kinds = {field.name: field.dtype.to_value_type() for field in view.features}

    def value(kind: str) -> Any:
        whole = random.randrange(1000)
        made = {"INT64": whole, "STRING": f"id_{whole}"}.get(kind, whole / 7)
        return random.choice([made, made, made, None])

    def row(number: int) -> tuple[Any, ...]:
        values = {
            name: python_values_to_proto_values([value(kind.name)], kind)[0]
            for name, kind in kinds.items()
        }
        join_key = view.entities[0]
        entity = Value(string_val=IDS[join_key].format(number))
        key = EntityKey(join_keys=[join_key], entity_values=[entity])
        return key, values, NOW - timedelta(minutes=number), None

    return [row(number) for number in range(STORED)]


@pytest.mark.parametrize("service", ["fraud_detection", "recommendation"])
def test_the_exercises_services_answer_as_the_sdk_does(store: FeatureStore, service: str) -> None:
    random = Random(7)
    with OnlineReader.open(store.config, service, now=lambda: NOW) as reader:
        for count in (1, 2, 100):
            rows: dict[str, list[Any]] = {
                name: [pattern.format(random.randrange(STORED + 10)) for _ in range(count)]
                for name, pattern in IDS.items()
            }
            rows["transaction_amount"] = [random.uniform(0, 500) for _ in range(count)]
            theirs = store.get_online_features(store.get_feature_service(service), rows).to_dict()
            assert reader.read(rows).values == {n: v for n, v in theirs.items() if n not in rows}
