"""Imports go one way: down the checker's layers, and from exercises to what serves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.settings import ROOT
from scripts.import_graph import breaks, imported_names

CODE = "checker/verdict/outcome.py", "checker/run/runner.py", "checker/serving/server.py"


def test_the_checkers_layers_are_in_order() -> None:
    assert breaks(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "problem"),
    [
        ("checker/verdict/outcome.py", "import checker.run.runner", "verdict imports run"),
        ("checker/serving/server.py", "from checker.run import runner", "serving imports run"),
        ("checker/run/runner.py", "from checker.run import runner_too", "a circle: "),
        ("checker/tools/a.py", "", "checker/tools is in no layer"),
        ("exercise_01/checks.py", "import checker.verdict.outcome", "imports checker.verdict"),
        ("exercise_01/checks.py", "def f():\n    from checker import run", "imports checker"),
    ],
)
def test_a_break_is_found(file: str, source: str, problem: str, tmp_path: Path) -> None:
    sources = {**dict.fromkeys(CODE, ""), "checker/run/runner_too.py": "import checker.run.runner"}
    for name, text in {**sources, file: source}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [found for found in breaks(tmp_path) if problem in found], breaks(tmp_path)


# What the code of each folder may import of this repository, next to itself.
ALLOWED = {
    "feast_plugins": set(),
    "lab": set(),
    "checker": {"lab", "feast_plugins"},
    "exercise_": {"lab", "feast_plugins"},
    "scale": {"lab", "feast_plugins"},
}


FEATURE_REPO = "exercise_01_setup.feature_repo"  # all exercises share it


def top_level_imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a folder with the top-level names that it imports."""
    for file in folder.rglob("*.py"):
        for module, _ in imported_names(file):
            if not (folder.name.startswith("exercise_") and module.startswith(FEATURE_REPO)):
                yield file, module.partition(".")[0]


@pytest.mark.parametrize(
    "folder",
    [*ROOT.glob("exercise_*"), *(ROOT / name for name in ALLOWED if name != "exercise_")],
    ids=str,
)
def test_arrows_between_folders_go_one_way(folder: Path) -> None:
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    (allowed,) = [names for start, names in ALLOWED.items() if folder.name.startswith(start)]
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file, name in top_level_imports(folder)
        if name in ours - allowed - {folder.name}
        and (file.name, name) != ("checks.py", "checker")
        and "starter" not in file.parts
    ]
    assert wrong == []
