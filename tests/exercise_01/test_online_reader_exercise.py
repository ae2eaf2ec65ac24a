"""The services of the exercises' own feature repository: the reader answers as Feast's SDK does."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from exercise_03_materialize.materialize import initial_materialization
from feast_plugins.online_reader import OnlineReader
from lab.feature_store import open_store
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF, NewShop, Size

IDS = {"user_id": "user_{}", "merchant_id": "merchant_{}", "product_id": "product_{}"}


@pytest.mark.parametrize("service", ["fraud_detection", "recommendation"])
def test_the_exercises_services_answer_as_the_sdk_does(
    new_shop: NewShop, point_settings: PointSettings, service: str
) -> None:
    """All views are in Redis; some of the requested entities are not."""
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, stores="plugins")
    initial_materialization()
    store, random = open_store(), Random(7)
    store.materialize(AS_OF - timedelta(days=1), AS_OF, ["user_streaming_features"])
    with OnlineReader.open(store.config, service, now=lambda: AS_OF) as reader:
        for count in (1, 2, 100):
            rows: dict[str, list[Any]] = {
                name: [pattern.format(random.randrange(150)) for _ in range(count)]
                for name, pattern in IDS.items()
            }
            rows["transaction_amount"] = [random.uniform(0, 500) for _ in range(count)]
            theirs = store.get_online_features(store.get_feature_service(service), rows).to_dict()
            assert reader.read(rows).values == {n: v for n, v in theirs.items() if n not in rows}
