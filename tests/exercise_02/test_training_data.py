"""Exercise 2 on a small shop: the service's features, product's on demand, and the seven files."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from exercise_02_pit_training.generate_training_data import (
    KEYS,
    LABEL,
    create_entity_df,
    excluded_rows,
    export_training_data,
    get_training_data,
    has_history,
    validate_pit_correctness,
)
from exercise_02_pit_training.splits import SPLITS
from lab.learn import open_store
from lab.settings import settings
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size

TRAINING_DATA = "training_data"
CRITICAL = [
    *("transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"),
    *("chargeback_rate", "total_transactions_30d"),
]


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    shop = new_shop(Size())
    shop.restore()
    with settings_in_force(**shop.settings):
        yield shop


@pytest.fixture(scope="module")
def training_df(shop: Shop) -> pd.DataFrame:
    return get_training_data(create_entity_df())


@pytest.fixture(scope="module")
def exported(shop: Shop, training_df: pd.DataFrame) -> dict[str, pd.DataFrame]:
    raw = pd.read_parquet(settings.data_dir / "transactions.parquet")
    export_training_data(training_df, excluded_rows(raw))
    names = [*(f"{part}_{split}" for part in "Xy" for split in SPLITS), TRAINING_DATA, "excluded"]
    return {name: pd.read_parquet(settings.data_dir / f"{name}.parquet") for name in names}


def test_product_features_are_joined_when_the_frame_has_its_key(shop: Shop) -> None:
    rows = create_entity_df().sample(50, random_state=1)
    product = ["view_count_7d", "purchase_count_30d", "purchase_rate"]
    assert set(product) <= set(get_training_data(rows))
    assert not set(product) & set(get_training_data(rows.drop(columns="product_id")))
    assert not set(product) & set(chain.from_iterable(service_views().values()))


def service_views() -> dict[str, list[str]]:
    """Return the features of each view of the service, in its order."""
    views = open_store().get_feature_service("fraud_detection").feature_view_projections
    return {view.name_to_use(): [field.name for field in view.features] for view in views}


def test_every_stored_feature_of_the_service_is_recomputed(training_df: pd.DataFrame) -> None:
    views = service_views()
    stored = [n for view, names in views.items() for n in names if view.endswith("_features")]
    stored = [name for name in stored if name not in views["transaction_request_features"]]
    assert validate_pit_correctness(training_df)
    for name in stored:
        changed = training_df.assign(**{name: training_df[name].fillna(0) + 1})
        assert not validate_pit_correctness(changed), name


def test_the_six_files_hold_rows_with_history_and_the_seventh_all(
    exported: dict[str, pd.DataFrame], training_df: pd.DataFrame
) -> None:
    inputs = [*chain.from_iterable(service_views().values()), "transaction_amount"]
    rows = exported[TRAINING_DATA]
    assert list(rows) == [*KEYS, *inputs, LABEL, "split"]
    for split in SPLITS:
        features = exported[f"X_{split}"]
        assert list(features) == inputs
        assert len(features) == len(exported[f"y_{split}"])
        assert features[CRITICAL].notna().all(axis=None)
        assert len(features) <= (rows["split"] == split).sum()
    in_six = sum(len(exported[f"X_{split}"]) for split in SPLITS)
    no_history = exported["excluded"]["reason"] == "no history"
    assert 0 < len(rows) - in_six <= no_history.sum()
    assert in_six + len(exported["excluded"]) == len(
        pd.read_parquet(settings.data_dir / "transactions.parquet")
    )


def test_a_user_without_a_streaming_row_is_quiet_and_one_without_history_unknown(
    exported: dict[str, pd.DataFrame], training_df: pd.DataFrame
) -> None:
    views = service_views()
    streaming = views[STREAMING_VIEW]
    joined = training_df.merge(
        exported[TRAINING_DATA], on=[*KEYS, "transaction_amount"], suffixes=("", "_exported")
    )
    silent = joined[joined[streaming].isna().all(axis=1)]
    assert len(silent)
    for name, value in quiet_values(streaming).items():
        np.testing.assert_array_equal(silent[f"{name}_exported"].astype(float), value)
    unknown = joined[~has_history(joined)]
    assert len(unknown)
    columns = list(views["user_transaction_features"])
    assert unknown[[f"{name}_exported" for name in columns]].isna().any(axis=None)
