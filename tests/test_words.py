"""The words that scripts/words.py looks for do not occur, except in its quotations."""

from pathlib import Path

import pytest

from lab.settings import settings
from scripts.words import QUOTED, faults, files, names_in

# Identifiers elsewhere have such words: a rename of the checker's would outdate stored verdicts.
CLEAN_NAMES = (
    "exercise_01_setup",
    "exercise_02_pit_training",
    "exercise_03_materialize",
    "exercise_04_serving",
    "exercise_06_monitoring",
    "scripts",
)


def test_texts_use_the_words_of_the_field() -> None:
    found = {str(file): words for file in files(settings.root) if (words := list(faults(file)))}
    assert found == {}
    assert len(QUOTED) <= 20


@pytest.mark.parametrize("folder", CLEAN_NAMES)
def test_identifiers_use_the_words_of_the_field(folder: str) -> None:
    modules = [f for f in files(settings.root / folder) if f.name != "checks.py"]
    assert {str(file): count for file in modules if (count := names_in(file))} == {}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.py", '"""Whether it is."""', 1),
        ("a.py", "x = 1\n# beside the file", 2),
        ("a.py", 'x = 1\nraise ValueError(f"{x} is not kept")', 2),
        ("a.py", '"""Return one.\n\nThe caller is told.\n"""', 3),
        ("a.md", "One.\nIt says so.", 2),
        ("a.sql", "SELECT 1 -- judged", 1),
        ("a.toml", "x = 1 # as known", 1),
        ("a.yml", "x: 1 # anew", 1),
    ],
)
def test_a_word_to_replace_is_found(name: str, text: str, line: int, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert [found for found, _ in faults(tmp_path / name)] == [line]


@pytest.mark.parametrize("text", ["asked = 1", "# `asked` is the frame", 'x = "kept"'])
def test_an_identifier_is_no_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(text)
    assert list(faults(tmp_path / "a.py")) == []


def test_a_word_in_an_identifier_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def read_asked(kept):\n    return kept\n")
    assert names_in(tmp_path / "a.py") == 3
