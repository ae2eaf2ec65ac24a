"""The words that scripts/words.py looks for do not occur in folders that are free of them."""

from pathlib import Path

import pytest

from lab.settings import settings
from scripts.words import docstrings_in, files, words_in

# The words to replace do not occur in these folders, but for the quotations.
CLEAN = (
    "exercise_01_setup",
    "exercise_02_pit_training",
    "exercise_03_materialize",
    "exercise_04_serving",
    "exercise_05_streaming",
    "exercise_06_monitoring",
)
QUOTED = {
    "Cache hit rate over 70% after warm-up": "the brief's title of 4.3",
    'f"it said: {message}"': "docs/mutants.md quotes the message of 1.1 and 1.6",
    "set aside {aside}": "docs/mutants.md quotes the figures of 2.5",
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
