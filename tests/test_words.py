"""scripts/words counts the words to replace, and the docstrings to rephrase, on a small tree."""

import re
import subprocess
import sys
from pathlib import Path

from lab.settings import settings

SCRIPT = settings.root / "scripts" / "words"
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
