"""The feature repository: five stored views, each field described, one rule for missing values."""

from math import isnan

import pytest

from exercise_01_setup.feature_repo.missing_values import quiet_values


@pytest.fixture(scope="module")
def definitions() -> dict[str, object]:
    """Return the objects that features.py defines."""
    import runpy

    from lab.settings import settings

    return runpy.run_path(str(settings.feature_repo / "features.py"))


def test_each_field_of_the_five_stored_views_states_what_it_counts(
    definitions: dict[str, object],
) -> None:
    from feast import FeatureView

    views = [item for item in definitions.values() if isinstance(item, FeatureView)]
    assert len(views) == 5
    for view in views:
        for field in view.features:
            assert field.description, f"{view.name}:{field.name}"
            of_payments = field.name.startswith(("transaction_count", "total_"))
            assert not of_payments or "declined" in field.description, field.name


def test_the_on_demand_view_describes_its_three_features(definitions: dict[str, object]) -> None:
    from feast import OnDemandFeatureView

    (view,) = [item for item in definitions.values() if isinstance(item, OnDemandFeatureView)]
    assert all(field.name in view.description for field in view.features)


def test_quiet_is_zero_for_counts_and_sums_and_unknown_for_means() -> None:
    found = quiet_values(
        ["transaction_count_5m", "total_amount_1h", "avg_amount_1h", "max_amount_5m"]
    )
    assert (found["transaction_count_5m"], found["total_amount_1h"]) == (0, 0)
    assert isnan(found["avg_amount_1h"])
    assert isnan(found["max_amount_5m"])


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_an_unknown_input_gives_an_unknown_request_feature(
    definitions: dict[str, object], unknown: float | None
) -> None:
    view = definitions["transaction_request_features"]
    compute = view.feature_transformation.udf  # type: ignore[attr-defined]
    inputs = {
        "transaction_amount": [30.0, 30.0],
        "avg_transaction_amount": [unknown, 10.0],
        "transaction_count_30d": [60, unknown],
    }
    assert compute(inputs) == {
        "amount_vs_avg_ratio": [None, 3.0],
        "is_large_transaction": [None, 1],
        "transaction_velocity": [2.0, None],
    }
