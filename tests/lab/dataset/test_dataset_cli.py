"""The commands of lab data."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from checker.cli import main
from lab.dataset import manifest
from lab.dataset.cli import duration
from lab.errors import UserError
from tests.settings_in_force import PointSettings


class Done(NamedTuple):
    """The end of a command."""

    status: object
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def lab_data(
    tmp_path: Path,
    point_settings: PointSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Return a function that runs `lab data` in this process."""
    point_settings(data_dir=tmp_path, history=timedelta(days=10), as_of=None)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["lab", "data", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capsys.readouterr())

    return run


@pytest.mark.slow
def test_simulate_advance_show(lab_data: Run, tmp_path: Path) -> None:
    nothing = lab_data("show")
    assert nothing.status == 2
    assert "lab data simulate" in nothing.stderr
    assert lab_data("simulate", "--transactions", "500", "--seed", "3").status == 0
    before = manifest.read(tmp_path)
    assert before.seed == 3
    assert before.origin == before.id
    assert lab_data("advance", "1h").status == 0
    after = manifest.read(tmp_path)
    assert (after.as_of - before.as_of).total_seconds() == 3600
    assert (after.origin, after.id != before.id) == (before.origin, True)
    shown = lab_data("show")
    assert f"{after.as_of:%Y-%m-%d %H:%M} UTC" in shown.stdout
    assert "transactions" in shown.stdout


@pytest.mark.slow
def test_import_with_a_map(lab_data: Run, tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("who,shop,what,at,paid\na,s,p,2025-05-05T10:00:00Z,1\n")
    words = ["import", str(file), "--map", "user_id=who", "--map", "amount=paid"]
    refused = lab_data(*words)
    assert refused.status == 2
    assert "event_timestamp" in refused.stderr
    assert lab_data(*words, "--map", "event_timestamp=at", "--shift-to-now").status == 0
    described = manifest.read(tmp_path)
    assert described.name == "theirs"
    assert described.shifted_weeks > 0
    assert "transactions.merchant_id" in described.absent


@pytest.mark.parametrize(("text", "hours"), [("1h", 1), ("30m", 0.5), ("1d12h", 36), ("2d", 48)])
def test_durations(text: str, hours: float) -> None:
    assert duration(text).total_seconds() == hours * 3600


@pytest.mark.parametrize("text", ["99999d", "", "x", "1", "h", "-1h", "1h1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UserError, match="not a duration"):
        duration(text)
