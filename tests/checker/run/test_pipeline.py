"""`lab run` on real Redis."""

import pytest

from checker.run.pipeline import run_one
from checker.settings import CheckerSettings
from lab.derived import STAMP
from tests.settings_in_force import PointSettings
from tests.shop import NewShop, Size


def test_a_run_begins_without_what_other_data_left(
    new_shop: NewShop, point_settings: PointSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, stack_dir=shop.folder / "redis", stack_engine="process")
    stamp = shop.redis.directory / STAMP
    stamp.write_text("complete_journey 1234")
    shop.redis.client().set("of_other_data", 1)
    run_one(1, None, CheckerSettings())
    assert "redis: removed what came from other data (complete_journey 1234): 1 keys" in (
        capsys.readouterr().out
    )
    assert not shop.redis.client().exists("of_other_data")
    assert stamp.read_text().startswith("simulated ")
