"""`lab run` and `lab reset` in a workspace: the learner's own files, or the next TODO."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from checker.submission.workspace import make_workspace, reset_exercise
from lab.errors import UserError, next_todo
from lab.settings import ROOT
from lab.stack.redis import private_redis

LAB = Path(sys.executable).with_name("lab")
TRAINING = Path("exercise_02_pit_training", "generate_training_data.py")
OWN = """
from lab.learn import run_script, settings

def create_entity_df():
    raise NotImplementedError

def main():
    print(settings.data_dir, (settings.data_dir / "transactions.parquet").exists())
    create_entity_df()

if __name__ == "__main__":
    run_script(main)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    make_workspace(folder)
    return folder


def lab(
    workspace: Path, *words: str, folder: str = "exercise_01_setup", **variables: str
) -> tuple[int, str]:
    """Run a command in a folder of the workspace; return its status and its whole output."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    command = [str(LAB), *words]
    ended = subprocess.run(
        command,
        cwd=workspace / folder,
        env=ours | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(("number", "file"), [(2, "data.py:16"), (4, "app/main.py:10")])
def test_an_exercise_that_is_not_begun_names_its_first_todo(
    number: int, file: str, workspace: Path
) -> None:
    status, output = lab(workspace, "run", str(number), folder=".")
    assert status == 2
    assert output.startswith(f"error: exercise_0{number}")
    assert f"{file}: TODO 1: " in output
    assert not (workspace / "exercise_01_setup" / "feature_repo" / "data").exists()
    assert "Traceback" not in output


def test_the_first_commands_print_what_the_learners_page_shows(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "learn.md").read_text()
    shown = text[text.index("```\nmade ") :].split("```")[1]
    make = [str(LAB), "new", "../mine"]
    (tmp_path / "project").mkdir()
    made = subprocess.run(
        make, cwd=tmp_path / "project", capture_output=True, text=True, check=True
    ).stdout
    _, run = lab(tmp_path / "mine", "run", "1", folder=".")
    assert (made + run).split() == shown.split()


def test_the_learners_script_runs_on_data_of_the_workspace(workspace: Path, tmp_path: Path) -> None:
    """They are where `data/…` of a FileSource resolves to, when graded as well."""
    todo = "    # TODO 1: read data/transactions.parquet,\n    #         and filter.\n    raise"
    (workspace / TRAINING).write_text(OWN.replace("    raise", todo, 1))
    with private_redis(tmp_path) as redis:
        url = f"redis://127.0.0.1:{redis.port}"
        status, output = lab(workspace, "run", "2", LAB_TRANSACTIONS="2000", LAB_REDIS_URL=url)
    assert f"{workspace}/exercise_01_setup/feature_repo/data True" in output
    assert "generate_training_data.py:5: TODO 1: read data/transactions.parquet, and fil" in output
    assert status == 2
    assert not (workspace / "data").exists()


def test_a_mistake_in_a_definition_is_named_with_its_line(workspace: Path, tmp_path: Path) -> None:
    """Feast raises in frames of its own, without a name of the learner's file in the message."""
    file = workspace / "exercise_01_setup" / "feature_repo" / "features.py"
    file.write_text("from feast import FeatureView\nFeatureView(name='v', entities=['user'])\n")
    with private_redis(tmp_path) as redis:
        url = f"redis://127.0.0.1:{redis.port}"
        status, output = lab(workspace, "run", "1", LAB_TRANSACTIONS="2000", LAB_REDIS_URL=url)
    assert status == 2
    place = "exercise_01_setup/feature_repo/features.py:2"
    assert f"error: {place}: typeguard.TypeCheckError: argument" in output
    assert "Traceback" not in output


def test_after_a_run_the_next_step_is_the_check(workspace: Path, tmp_path: Path) -> None:
    definitions = workspace / "exercise_01_setup" / "feature_repo" / "features.py"
    definitions.write_text(
        "from feast import Entity, ValueType\n"
        'user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)\n'
    )
    with private_redis(tmp_path / "redis") as redis:
        url = f"redis://127.0.0.1:{redis.port}"
        status, output = lab(workspace, "run", "1", LAB_TRANSACTIONS="2000", LAB_REDIS_URL=url)
    assert status == 0, output
    assert output.endswith("next: lab check\n")


def test_the_exercises_before_the_first_are_the_solutions(tmp_path: Path) -> None:
    make_workspace(tmp_path / "mine", first=3)
    own, solution = ((root / TRAINING).read_text() for root in (tmp_path / "mine", ROOT))
    assert own == solution
    assert not [*(tmp_path / "mine").rglob("checks.py"), *(tmp_path / "mine").rglob("production")]
    unwritten = tmp_path / "mine" / "exercise_03_materialize" / "materialize.py"
    assert "TODO 1" in unwritten.read_text()


def test_reset_restores_the_starter_next_to_the_learners_file(workspace: Path) -> None:
    starter = (workspace / TRAINING).read_text()
    (workspace / TRAINING).write_text(OWN)
    (workspace / "exercise_02_pit_training" / "helpers.py").write_text("X = 1")
    assert reset_exercise(workspace, 2) == [workspace / TRAINING]
    assert (workspace / TRAINING).read_text() == starter
    assert (workspace / f"{TRAINING}.bak").read_text() == OWN
    assert (workspace / "exercise_02_pit_training" / "helpers.py").exists()
    assert reset_exercise(workspace, 2) == []


def test_a_second_reset_keeps_the_copy_of_the_first(workspace: Path) -> None:
    for text in ("first = 1", "second = 2"):
        (workspace / TRAINING).write_text(text)
        reset_exercise(workspace, 2)
    assert (workspace / f"{TRAINING}.bak").read_text() == "first = 1"
    assert (workspace / f"{TRAINING}.2.bak").read_text() == "second = 2"


def test_reset_makes_no_second_folder_of_an_exercise(workspace: Path) -> None:
    (workspace / "exercise_02_pit_training").rename(workspace / "exercise_2")
    with pytest.raises(UserError, match="exercise_2 is no starter's folder"):
        reset_exercise(workspace, 2)
    assert [folder.name for folder in workspace.glob("exercise*2*")] == ["exercise_2"]


def test_a_workspace_is_made_in_the_empty_folder_that_the_shell_is_in(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, output = lab(tmp_path, "new", ".", folder="empty")
    assert status == 0, output
    assert (tmp_path / "empty" / TRAINING).is_file()
    assert [folder.name for folder in tmp_path.iterdir()] == ["empty"]


def test_a_workspace_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        make_workspace(tmp_path / "file" / "mine")


def test_the_todos_of_a_file_that_is_not_utf_8_are_read(workspace: Path) -> None:
    (workspace / TRAINING).write_bytes(b"# caf\xe9\n# TODO 1: read\nraise NotImplementedError\n")
    assert str(next_todo(workspace / TRAINING)).endswith(":2: TODO 1: read")
