"""The services of the exercises' own feature repository: the reader answers as Feast's SDK does."""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from feast import FeatureStore, FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values

from feast_plugins.online_reader import OnlineReader
from feast_plugins.redis_online_store import VersionedRedisOnlineStore
from lab.feature_store import open_store
from tests.settings_in_force import settings_in_force
from tests.shop import AS_OF, NewShop, Size

IDS = {"user_id": "user_{}", "merchant_id": "merchant_{}", "product_id": "product_{}"}
STORED = 30


@pytest.fixture(scope="module")
def store(new_shop: NewShop) -> Iterator[FeatureStore]:
    """The repository as it is applied, with rows of every view in Redis."""
    shop = new_shop(Size())
    shop.restore()
    with settings_in_force(**shop.settings):
        opened = open_store()
        for view in opened.list_feature_views():
            rows = some_rows(view)
            VersionedRedisOnlineStore().online_write_batch(opened.config, view, rows, None)
        yield opened


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
        return key, values, AS_OF - timedelta(minutes=number), None

    return [row(number) for number in range(STORED)]


@pytest.mark.parametrize("service", ["fraud_detection", "recommendation"])
def test_the_exercises_services_answer_as_the_sdk_does(store: FeatureStore, service: str) -> None:
    random = Random(7)
    with OnlineReader.open(store.config, service, now=lambda: AS_OF) as reader:
        for count in (1, 2, 100):
            rows: dict[str, list[Any]] = {
                name: [pattern.format(random.randrange(STORED + 10)) for _ in range(count)]
                for name, pattern in IDS.items()
            }
            rows["transaction_amount"] = [random.uniform(0, 500) for _ in range(count)]
            theirs = store.get_online_features(store.get_feature_service(service), rows).to_dict()
            assert reader.read(rows).values == {n: v for n, v in theirs.items() if n not in rows}
