"""The exercise with each of its production parts, and with all."""

import pytest

from exercise_03_materialize.production.__main__ import run_parts
from lab import learn
from lab.errors import UserError
from tests.readme import assert_shown

pytestmark = pytest.mark.usefixtures("shop")


@pytest.mark.parametrize("stores", ["feast"], indirect=True)
@pytest.mark.parametrize("parts", [["stores"], ["journal"], []], ids=["stores", "journal", "all"])
def test_it_runs_with_each_part(
    parts: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with an error unless every entity in Redis equals the offline store."""
    monkeypatch.setenv("LAB_STORES", "feast")
    run_parts(parts)
    assert learn.settings.stores == ("feast" if parts == ["journal"] else "plugins")
    assert_shown(3, capsys.readouterr().out)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UserError, match="exercise 3 has no production part fast"):
        run_parts(["fast"])
