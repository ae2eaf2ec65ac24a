"""The recipes of CONTRIBUTING.md: each is applied to a copy of the project and tried there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lab.settings import settings

pytestmark = pytest.mark.slow  # each recipe is followed in a copy of the project

ROOT = settings.root
COPIED = ("checker", "lab", "feast_plugins", "exercise_01_setup", "tests")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "data")

SECTIONS = (ROOT / "CONTRIBUTING.md").read_text().split("\n## ")[1:]
RECIPES = dict(section.split("\n", 1) for section in SECTIONS)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CREATE = re.compile(r"Create `([^`]+)`:$")
APPEND = re.compile(r"Append to `([^`]+)`:$")
AFTER = re.compile(r"In `([^`]+)`, after `([^`]+)`:$")
REPLACE = re.compile(r"In `([^`]+)`, replace `([^`]+)` with `([^`]+)`\.")


def blocks(recipe: str) -> list[tuple[str, str, str]]:
    """Return each fenced block of a recipe: the sentence before it, its language and its text."""
    found, end = [], 0
    for block in BLOCK.finditer(recipe):
        before = " ".join(recipe[end : block.start()].split())
        found.append((before, block[1], block[2]))
        end = block.end()
    return found


def apply(recipe: str, root: Path) -> set[Path]:
    """Edit the files below `root` by the recipe; return those that changed."""
    changed = set()
    for file, old, new in REPLACE.findall(" ".join(BLOCK.sub("", recipe).split())):
        changed.add(replace(root / file, old, new))
    for before, language, text in blocks(recipe):
        if create := CREATE.search(before):
            assert not (root / create[1]).exists()
            changed.add(write(root / create[1], text))
        elif append := APPEND.search(before):
            file = root / append[1]
            changed.add(write(file, file.read_text() + text))
        elif after := AFTER.search(before):
            changed.add(replace(root / after[1], f"{after[2]}\n", f"{after[2]}\n{text}"))
        else:
            assert language in ("bash", "yaml"), f"no place for this: {text}"
    return changed


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def replace(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has this {text.count(old)} times: {old}"
    return write(file, text.replace(old, new))


def commands(title: str) -> list[list[str]]:
    """Return the commands of a recipe's bash blocks, word by word."""
    texts = [text for _, language, text in blocks(RECIPES[title]) if language == "bash"]
    return [shlex.split(line) for text in texts for line in text.splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, with every recipe applied."""
    root = tmp_path_factory.mktemp("project")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=NOT_COPIED)
    shutil.copy(ROOT / "pyproject.toml", root)
    changed = set().union(*(apply(recipe, root) for recipe in RECIPES.values()))
    (root / "changed.txt").write_text("\n".join(map(str, sorted(changed))))
    return root


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy, which comes before the installed project."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**ours, "PYTHONPATH": str(project), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def output(project: Path, *arguments: str, **variables: str) -> str:
    done = run(project, *arguments, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lab(project: Path, *arguments: str) -> str:
    """Run `lab` from the copy."""
    scripts = tomllib.loads((project / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["lab"].split(":")
    start = f"from {module} import {function} as main; main()"
    return output(project, "-c", start, *arguments, COLUMNS="200")


def test_the_code_of_the_recipes_is_in_style(project: Path) -> None:
    files = (project / "changed.txt").read_text().splitlines()
    python = [file for file in files if file.endswith(".py")]
    assert len(python) >= 5
    output(project, "-m", "ruff", "check", *python)
    output(project, "-m", "ruff", "format", "--check", *python)


def test_a_new_criterion_fails_an_unfinished_submission(project: Path) -> None:
    code = """
import pathlib, types
from checker.verdict.brief import BY_ID
from checker.verdict.criterion import checks_in
check = checks_in(pathlib.Path.cwd())[BY_ID["1.7"].id]
for folder in ("tests/submissions/starter/exercise_01_setup", "exercise_01_setup"):
    submission = types.SimpleNamespace(exercise=lambda number: pathlib.Path(folder))
    print(check(submission).passed)
"""
    assert output(project, "-c", code).split() == ["False", "True"]


def test_a_new_mutant_applies(project: Path, tmp_path: Path) -> None:
    ((_, _, selection),) = commands("Add a mutant")
    code = """
import pathlib, sys
from tests.checker.mutants import copy_plain, mutants
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
(mutant,) = [mutant for mutant in mutants(1) if mutant.name == name]
mutant.write(copy_plain(folder))
print(mutant)
"""
    name = selection.removeprefix("ONLY=")
    assert output(project, "-c", code, str(tmp_path), name).strip() == f"1.4-{name}"
    assert "features=[]" in (tmp_path / "exercise_01_setup" / "features.py").read_text()


def test_a_new_renderer_is_offered_and_writes(project: Path) -> None:
    ((command, *arguments),) = commands("Add a renderer")
    assert command == "lab"
    assert "tap" in lab(project, *arguments)
    code = """
from types import SimpleNamespace
from checker.render import RENDERERS
from checker.verdict.brief import CRITERIA
from checker.verdict.outcome import Status
from checker.verdict.results import Result
results = [Result(CRITERIA[0], Status.PASS), Result(CRITERIA[1], Status.FAIL)]
print(RENDERERS["tap"](SimpleNamespace(results=results)))
"""
    assert output(project, "-c", code).splitlines()[1:4] == ["1..2", "ok - 1.1", "not ok - 1.2"]


def test_a_new_setting_is_read_from_the_environment(project: Path) -> None:
    ((assignment, _, *arguments),) = commands("Add a setting")
    name, value = assignment.split("=")
    assert output(project, *arguments, **{name: value}).strip() == value
    refused = run(project, *arguments, **{name: "0"})
    assert refused.returncode != 0
    assert "greater than or equal to 1" in refused.stderr


@pytest.mark.slow
def test_a_new_option_of_a_plug_in_is_taken_from_the_store_config(project: Path) -> None:
    ((_, _, text),) = [
        block for block in blocks(RECIPES["Add a plug-in option"]) if block[1] == "yaml"
    ]
    code = """
import sys, yaml
from feast import RepoConfig
given = yaml.safe_load(sys.argv[1])
config = RepoConfig(project="p", registry="registry.db", provider="local", **given)
print("max_rows" in type(config.offline_store).model_fields, config.offline_store.max_rows)
"""
    assert output(project, "-c", code, text).split() == ["True", "5000000"]


def test_a_new_field_report_is_collected_and_passes(project: Path) -> None:
    ((command, folder),) = commands("Add a field report")
    assert command == "pytest"
    printed = output(project, "-m", "pytest", "-n", "0", "-v", "-p", "no:cacheprovider", folder)
    assert "[fractions_of_a_second] PASSED" in printed
