"""scripts/words.py counts the words to replace, and the docstrings to rephrase, on a small tree."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.settings import settings
from scripts.words import docstrings_in, files, words_in

SCRIPT = settings.root / "scripts" / "words.py"
MODULE = '''
"""What a module holds."""

asked_keys = []  # the keys that were asked for, and the TOLD ones; not the untold


def found():
    """Whether it is there."""


def add():
    """Add what is new."""
'''


def words(root: Path) -> dict[str, list[int]]:
    """Run the script; return the numbers of each row."""
    run = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True, check=True)
    rows = re.findall(r"^(\S[a-z -]*?|\.) {2,}(\d+)(?: +(\d+)$)?", run.stdout, re.MULTILINE)
    return {name: [int(number) for number in numbers if number] for name, *numbers in rows}


def test_words_and_docstrings_are_counted_by_folder(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "keys.py").write_text(MODULE)
    (tmp_path / "lab" / "page.html").write_text("told")
    (tmp_path / "README.md").write_text("Retry in a\nwhile; it stands beside.")
    for excluded in ("build", ".venv", "tests/submissions"):
        (tmp_path / excluded).mkdir(parents=True)
        (tmp_path / excluded / "wrong.toml").write_text("mistake = 'it was told'")
    assert words(tmp_path) == {
        "ask": [2],
        "tell": [1],
        "a while": [1],
        "beside": [1],
        ".": [2, 0],
        "lab": [3, 2],
        "total": [5, 2],
    }


def test_a_tree_without_hits_is_reported_too(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("The writer flushes every second.")
    assert words(tmp_path) == {".": [0, 0], "total": [0, 0]}


# The words to replace do not occur in these folders, but for the quotations.
CLEAN = (
    "exercise_01_setup",
    "exercise_02_pit_training",
    "exercise_03_materialize",
    "exercise_05_streaming",
)
QUOTED = {
    'f"it said: {message}"': "docs/mutants.md quotes the message of 1.1 and 1.6",
    "set aside {aside}": "docs/mutants.md quotes the figures of 2.5",
    "production.drills": "the module's name",
    "make drills": "the command's name",
    "cluster import ask as query_flink": "a function of lab",
}


def words_and_openings(file: Path, text: str) -> list[str]:
    """Return the words to replace, and the docstrings to rephrase, of one file."""
    for quotation in QUOTED:
        text = text.replace(quotation, "")
    found = [word for word, count in words_in(text).items() if count]
    if file.suffix == ".py" and docstrings_in(file.read_text()):
        found.append("a docstring that begins with an opening to avoid")
    return found


@pytest.mark.parametrize("folder", CLEAN)
def test_the_exercises_use_the_words_of_the_field(folder: str) -> None:
    found = {
        str(file): words
        for file in files(settings.root / folder)
        if file.name != "checks.py"  # its messages stand in the verdicts of graded mutants
        and (words := words_and_openings(file, file.read_text()))
    }
    assert found == {}
    assert len(QUOTED) <= 20


@pytest.mark.parametrize("text", ["asked = 1", '"""Whether it is."""', "# beside the file"])
def test_a_word_to_replace_is_found(text: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    assert words_and_openings(file, text)
