"""Training: the service's features, a threshold by the share of alerts, mistakes by name."""

import re
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from exercise_01_setup.setup_store import apply_definitions
from exercise_02_pit_training import generate_training_data
from exercise_04_serving import train_model
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, load_model
from exercise_04_serving.production.onnx_model import convert_trained_model
from exercise_04_serving.train_model import (
    ALERT_SHARE,
    SERVICE,
    read_rows,
    train,
)
from lab.errors import UserError
from lab.learn import open_store
from lab.settings import settings
from tests.readme import assert_shown
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """Yield a shop with exercise 2's export, large enough to learn from."""
    shop = new_shop(Size(40_000))
    shop.restore()
    with settings_in_force(**shop.settings):
        with redirect_stdout(StringIO()) as output:
            generate_training_data.main()
        assert_shown(2, output.getvalue())
        yield shop


@pytest.fixture(scope="module")
def printed(shop: Shop) -> str:
    """Train the shop's model; return the output in one line."""
    with redirect_stdout(StringIO()) as output:
        train_model.main()
    return " ".join(output.getvalue().split())


def reader() -> FeatureReader:
    return FeatureReader(open_store(), SERVICE)


def test_the_model_has_the_services_features_and_describes_itself(printed: str) -> None:
    metadata = load_model(settings.model_dir, reader()).metadata
    assert metadata.features == (*reader().features, AMOUNT)
    assert (metadata.service, metadata.service_version) == (SERVICE, "v2")
    found = re.search(r"PR-AUC on .* test rows: ([\d.]+); by chance it is ([\d.]+)", printed)
    assert found
    assert float(found[1]) > 5 * float(found[2])
    assert "of payments raise an alert" in printed
    without = re.search(r"without streaming features the PR-AUC is ([\d.]+)", printed)
    assert without
    assert float(found[1]) > float(without[1])


def test_a_share_of_the_validation_rows_reaches_the_threshold(printed: str) -> None:
    model = load_model(settings.model_dir, reader())
    rows = read_rows([*model.metadata.features]).query("split == 'val'")
    alerts = model.score(rows[[*model.metadata.features]].to_numpy()) >= model.metadata.threshold
    assert alerts.sum() == pytest.approx(ALERT_SHARE * len(rows), abs=1)


def test_both_runtimes_agree_on_the_trained_model(printed: str) -> None:
    convert_trained_model()


def test_a_renamed_feature_is_named(
    shop: Shop, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = shutil.copytree(settings.feature_repo, tmp_path / "feature_repo")
    text = (repo / "features.py").read_text()
    renamed = text.replace('"transaction_count_1h"', '"transaction_count_24h"')
    (repo / "features.py").write_text(renamed)
    monkeypatch.syspath_prepend(repo)  # Feast imports from the first repository of the process
    data = shutil.copytree(settings.data_dir, tmp_path / "data")
    models = shutil.copytree(settings.model_dir, tmp_path / "models")
    with settings_in_force(feature_repo=repo, data_dir=data, model_dir=models):
        apply_definitions()
        with pytest.raises(UserError, match=r"(?s)no transaction_count_24h.*lab run 2"):
            train_model.main()
        with pytest.raises(UserError, match="unknown inputs: transaction_count_1h"):
            load_model(models, reader())


def test_without_training_data_exercise_2_is_named(shop: Shop, tmp_path: Path) -> None:
    with (
        settings_in_force(data_dir=tmp_path),
        pytest.raises(UserError, match=r"(?s)training_data.parquet is missing.*lab run 2"),
    ):
        read_rows([])


def test_too_few_frauds_are_a_users_mistake() -> None:
    with pytest.raises(UserError, match="0 frauds among"):
        train(pd.DataFrame({"amount": [1.0, 2.0]}), pd.Series([0, 0]))
