"""The notebooks run, and print what is stored in them."""

import subprocess
from pathlib import Path

import nbformat
import pytest

from lab.settings import settings

NOTEBOOKS = sorted((settings.root / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Execute copies of the notebooks."""
    folder = tmp_path_factory.mktemp("notebooks")
    script = settings.root / "scripts" / "notebooks"
    subprocess.run([script, "--output-dir", folder], check=True, timeout=540)
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_prints_what_is_stored_in_it(notebook: Path, executed: Path) -> None:
    assert texts(executed / notebook.name) == texts(notebook) != []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_has_three_questions_with_folded_answers(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    answers = [cell for cell in cells if "<details><summary>Answer</summary>" in cell.source]
    assert [cell.source.strip()[:4] for cell in answers] == ["**1.", "**2.", "**3."]


def texts(notebook: Path) -> list[str]:
    """Return the text of all outputs; a picture's is the name of its type."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output.get("text") or output["data"]["text/plain"] for output in outputs]
