"""`lab run 1` shows the registry, whether or not the definitions changed."""

import pytest

from exercise_01_setup import setup_store
from lab.feature_store import REGISTRY, open_store
from lab.settings import settings
from tests.settings_in_force import PointSettings
from tests.shop import NewShop, Size

SHOWN = (
    *("user_id", "merchant_id", "product_id"),
    *("user_transaction_features", "merchant_risk_features", "product_popularity_features"),
    *("user_preference_features", "user_streaming_features", "transaction_request_features"),
    *("fraud_detection", "recommendation", "chargeback_rate", "view_count_7d"),
)


def test_the_registry_is_shown_on_every_run(
    new_shop: NewShop, point_settings: PointSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings)
    (settings.data_dir / REGISTRY).unlink()
    shop.redis.client().set("a", 1)
    shown = []
    for state in ("applied", "unchanged since the last run"):
        setup_store.main()
        printed = capsys.readouterr().out
        assert f"the definitions are {state}" in printed
        assert [name for name in SHOWN if name not in printed] == []
        assert f"Redis at {settings.redis_address}: 1 keys" in printed
        shown.append(printed[printed.index("kind") : printed.index("Redis at")])
    assert shown[0] == shown[1]


def test_an_interrupted_run_is_repeated(
    new_shop: NewShop, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registry exists, and is incomplete."""
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings)
    (settings.data_dir / REGISTRY).unlink()

    def interrupted(*_: str) -> None:
        (settings.data_dir / REGISTRY).touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup_store, "feast", interrupted)
        with pytest.raises(KeyboardInterrupt):
            setup_store.apply_definitions()
    assert setup_store.apply_definitions()
    assert len(open_store().list_feature_views()) == 5
