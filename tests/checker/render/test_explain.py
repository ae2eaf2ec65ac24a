"""--hint prints a question, then the criterion's page; --watch checks after each save."""

import os
import re
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from checker.cli import app
from checker.hidden.hidden_data import HiddenData
from checker.render.explain import contract_row, errata, explain, hint
from checker.run import checking, progress
from checker.run.runner import Grader
from checker.sandbox.sandbox import Sandbox
from checker.settings import CheckerSettings
from checker.submission.workspace import make_workspace
from checker.verdict.brief import BY_ID
from checker.verdict.criterion import checks_in
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard
from lab.errors import UserError
from lab.settings import ROOT

FEATURES = Path("exercise_01_setup", "feature_repo", "features.py")
ERRATA = (ROOT / "docs" / "errata.md").read_text()


def explained(identifier: str) -> str:
    return explain(identifier, CheckerSettings().weights)


@pytest.mark.parametrize("identifier", BY_ID)
def test_every_criterion_is_explained(identifier: str) -> None:
    text = explained(identifier)
    assert BY_ID[identifier].title in text
    exercise = BY_ID[identifier].exercise
    assert text.endswith(f"Next: `lab check {exercise}`, or `lab diff {exercise}`")


@pytest.mark.parametrize("identifier", BY_ID)
def test_every_criterion_has_a_question(identifier: str) -> None:
    question, more = hint(identifier).split("\n\n")
    assert question.endswith("?")
    assert f"lab check {identifier} --hint --hint" in more


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["1.3", "--hint"], "1.3: Which table"),
        (["1.3", "--hint", "--hint"], "1.3 Registry contains 5 feature views"),
        (["2", "-h"], "2.2: For which rows"),
        (["-h"], "1.2: Under which column"),
        (["-hh"], "1.2 Registry contains 3 entities"),
        (["3", "-h"], "3.1: "),
    ],
)
def test_a_hint_is_of_the_first_criterion_that_has_not_passed(
    words: list[str], shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_BUILD_DIR", str(tmp_path))
    (tmp_path / progress.FILE).write_text('{"1.1": true, "1.2": false, "2.1": true}')
    result = CliRunner().invoke(app, ["check", *words])
    assert result.exit_code == 0
    assert shown in " ".join(result.output.split())


def test_it_describes_how_a_criterion_is_graded_and_what_it_catches() -> None:
    row = contract_row("2.4")
    assert set(row) == {"what is done", "passes when", "catches"}
    assert all(text in explained("2.4") for text in row.values())


def test_it_shows_the_pitfalls_of_the_criterion_and_of_its_exercise() -> None:
    text = explained("2.5")
    assert "## Where the brief misleads: A random split" in text
    assert "docs/errata.md#a-random-split" in text
    assert "train_test_split" in text
    assert "A merge that multiplies: 1,000 rows become 100,000" in text


def test_all_entries_of_the_errata_are_found_by_their_anchor() -> None:
    entries = errata()
    assert len(entries) == ERRATA.count("\n### ")
    assert all(f"](#{entry.link.partition('#')[2]})" in ERRATA for entry in entries)


@pytest.mark.parametrize("hint", ["--hint", "-hh"])
def test_a_criterion_that_the_brief_does_not_have_is_the_users_mistake(hint: str) -> None:
    error = CliRunner().invoke(app, ["check", "7.1", hint]).exception
    assert isinstance(error, UserError)
    assert re.search(r"criterion 7\.1", str(error))


def test_every_check_describes_what_it_checks() -> None:
    assert all(check.__doc__ for check in checks_in(ROOT).values())


def test_the_option_watches_the_criteria_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[str] = []
    monkeypatch.setattr(checking, "watch", lambda _, ids, *__: watched.extend(ids))
    assert CliRunner().invoke(app, ["check", "1", "--watch"]).exit_code == 0
    assert watched == checking.criteria("1")


# ---- Watching ----------------------------------------------------------------------------------


def test_a_save_is_seen_and_what_runs_and_editors_write_is_not(tmp_path: Path) -> None:
    script = tmp_path / "exercise_02" / "script.py"
    script.parent.mkdir()
    script.write_text("x = 1")
    os.utime(script, (1, 1))
    before = checking.saved(tmp_path)
    for written in ("data/new.py", ".venv/new.py", "exercise_02/__pycache__/new.py", "notes.txt"):
        (tmp_path / written).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / written).write_text("")
    (script.parent / ".#script.py").symlink_to("nobody@nowhere.1")  # as an editor locks a file
    assert checking.saved(tmp_path) == before
    script.write_text("x = 10")
    os.utime(script, (1, 1))
    assert checking.saved(tmp_path) != before, "a save within one tick of the clock"


@pytest.mark.parametrize("name", ["crontab", "crontab.txt", "nightly.cron", "start.sh", "a.sql"])
def test_a_save_of_what_is_no_python_is_seen(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    assert list(checking.saved(tmp_path)) == [tmp_path / name]


def test_watching_checks_again_after_a_save(
    box: Sandbox,
    hidden: HiddenData,
    config: CheckerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "mine"
    make_workspace(folder)
    cards: list[Scorecard] = []
    output = StringIO()

    class Remembering(Grader):
        def grade(self, *arguments: object) -> Scorecard:
            cards.append(super().grade(*arguments))  # type: ignore[arg-type]
            return cards[-1]

    names = folder / "submission.toml"
    half_saved, saved = "[serving]\nstart = ", "[serving]\n"
    saves = [(names, half_saved), (names, saved), (folder / FEATURES, "user = 1 / 0\n")]

    def save_then_stop() -> None:
        if not saves:
            raise KeyboardInterrupt
        file, content = saves.pop(0)
        file.write_text(content)

    grader = Remembering(box, hidden, config)
    monkeypatch.setattr(checking, "grader", lambda *_: nullcontext(grader))
    with pytest.raises(KeyboardInterrupt):
        checking.watch(
            folder, checking.criteria("1"), None, config, Console(file=output), save_then_stop
        )
    first, *_, second = cards
    assert first.count(Status.NOT_ATTEMPTED) == 6
    assert second.results[0].status is Status.FAIL
    assert "submission.toml is not valid TOML" in output.getvalue().replace("\n", " ")
