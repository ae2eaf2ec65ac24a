"""`lab run 1` applies the definitions and shows the registry, at every run."""

from pathlib import Path

import pytest

from exercise_01_setup import setup_store
from lab.dataset.tables import REGISTRY
from lab.feature_store import open_store
from lab.learn import store_config
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
    for _ in range(2):
        setup_store.main()
        printed = capsys.readouterr().out
        assert [name for name in SHOWN if name not in printed] == []
        assert f"Redis at {settings.redis_address}: 1 keys" in printed
        shown.append(printed[printed.index("kind") : printed.index("Redis at")])
    assert shown[0] == shown[1]
    assert len(open_store().list_feature_views()) == 5


@pytest.mark.parametrize(
    ("registry", "path"),
    [
        ("data/other.db", "{}/other.db"),
        ("{path: data/other.db}", "{}/other.db"),
        ("{registry_type: sql, path: 'sqlite:///data/other.db'}", "sqlite:///{}/other.db"),
    ],
)
def test_the_registry_may_be_a_path_as_feast_init_writes_it(
    registry: str,
    path: str,
    point_settings: PointSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SHOP", "shop")
    lines = ("project: ${SHOP}", f"registry: {registry}", "online_store: {type: redis}")
    (tmp_path / "feature_store.yaml").write_text("\n".join(lines))
    point_settings(feature_repo=tmp_path, data_dir=tmp_path / "rows")
    config = store_config()
    assert config["project"] == "shop"
    assert config["registry"]["path"] == path.format(tmp_path / "rows")
