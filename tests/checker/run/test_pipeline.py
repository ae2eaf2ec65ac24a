"""`lab run` on real Redis."""

import pytest
from typer.testing import CliRunner

from checker.cli import app
from checker.run.pipeline import run_one
from checker.settings import CheckerSettings
from lab.derived import STAMP
from tests.readme import assert_shown
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
    output = capsys.readouterr().out
    assert "redis: removed what came from other data (complete_journey 1234): 1 keys" in output
    assert_shown(1, output)
    assert not shop.redis.client().exists("of_other_data")
    assert stamp.read_text().startswith("simulated ")


@pytest.mark.parametrize("parts", ["all", "journal,cache"])
def test_an_exercise_is_run_with_production_parts(
    parts: str, new_shop: NewShop, point_settings: PointSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, stack_dir=shop.folder / "redis", stack_engine="process")
    ended = CliRunner().invoke(app, ["run", "3", "--production", parts])
    output = capfd.readouterr()
    if "cache" in parts:
        assert ended.exit_code == 2
        assert "exercise 3 has no production part cache" in output.err
    else:
        assert ended.exit_code == 0, output.err
        assert shop.redis.client().dbsize() > 0
