"""Every value has its declared type, and the same bits offline and online (trap: float32)."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from exercise_03_materialize.materialize import initial_materialization
from lab.feature_store import open_store, with_declared_types
from lab.feature_values import offline_values, online_values
from lab.settings import settings
from tests.exercise_03.shop_tables import TABLES
from tests.shop import AS_OF

STREAMING = "user_streaming_features"
REQUEST_FEATURES = ["amount_vs_avg_ratio", "is_large_transaction", "transaction_velocity"]
PANDAS = {"Int64": "int64", "Float32": "float32", "Float64": "float64", "String": "object"}
pytestmark = pytest.mark.usefixtures("shop")


def test_stored_features_agree_bit_for_bit() -> None:
    """Of every entity; exercise 5's view is written here by Feast itself, from its history."""
    initial_materialization(days_back=7)
    store = open_store()
    store.materialize(AS_OF - timedelta(days=1), AS_OF, [STREAMING])
    for view in (*TABLES, STREAMING):
        offline = offline_values(store, view, AS_OF)
        online = online_values(store, view, offline.index)
        assert len(offline) > 10
        declared = [PANDAS[str(field.dtype)] for field in store.get_feature_view(view).features]
        assert [str(kind) for kind in offline.dtypes] == declared, view
        pd.testing.assert_frame_equal(offline, online, check_exact=True, obj=view)


def test_on_demand_features_agree_bit_for_bit() -> None:
    """On 1,000 payments, many of them at the very edge of “large”."""
    initial_materialization(days_back=7)
    store = open_store()
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet").tail(1_000)
    averages = pd.read_parquet(settings.data_dir / "user_stats.parquet").groupby("user_id").last()
    edge = 2 * averages["avg_transaction_amount"].reindex(raw["user_id"]).astype("float64")
    amounts = np.where(np.arange(len(raw)) % 2, raw["amount"], edge.fillna(1.0))
    rows = pd.DataFrame({"user_id": raw["user_id"].to_numpy(), "transaction_amount": amounts})
    entities = rows.assign(event_timestamp=AS_OF, row=range(len(rows)))
    references = [f"transaction_request_features:{name}" for name in REQUEST_FEATURES]
    offline = store.get_historical_features(
        entity_df=entities, features=references, filter_by_created_timestamp=True
    ).to_df()
    offline = offline.sort_values("row").reset_index(drop=True)
    online = store.get_online_features(references, rows.to_dict("records")).to_df()
    left, right = (with_declared_types(t[REQUEST_FEATURES], store) for t in (offline, online))
    assert len(left) == 1_000
    pd.testing.assert_frame_equal(left, right, check_exact=True)
