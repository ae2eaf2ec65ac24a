"""A new workspace runs from the first minute: nothing is attempted, and nothing crashes."""

import ast
import re
from pathlib import Path

import pytest

from checker.run.runner import criteria_of
from checker.submission.scripts import script_that_defines, scripts
from checker.submission.workspace import make_workspace
from checker.verdict.outcome import NotAttemptedError, Status
from lab.errors import UserError
from tests import test_docs
from tests.checker.conftest import Grade


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    make_workspace(folder)
    return folder


def test_nothing_of_it_is_attempted(workspace: Path, grade: Grade) -> None:
    card = grade(workspace)
    assert card.count(Status.NOT_ATTEMPTED) == 35, card.status_of()


def test_the_first_line_that_is_written_is_an_attempt(workspace: Path, grade: Grade) -> None:
    features = workspace / "exercise_01_setup" / "feature_repo" / "features.py"
    features.write_text("user = 1 / 0\n")
    status = grade(workspace, 1).status_of()
    assert [status[i] for i in criteria_of(1)] == [Status.FAIL, *[Status.SKIPPED] * 5]


def test_it_has_the_functions_of_the_contract_with_a_docstring(workspace: Path) -> None:
    wanted = set(re.findall(r"^\| `(\w+)\(", test_docs.CONTRACT.read_text(), re.MULTILINE))
    files = workspace.glob("exercise_0[236]_*/*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text()).body]
    found = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert 0 < len(wanted) == len(wanted & {function.name for function in found})
    assert all(ast.get_docstring(function) for function in found)


def test_what_is_to_be_done_is_numbered_in_order(workspace: Path) -> None:
    for file in workspace.rglob("*.py"):
        numbers = [int(n) for n in re.findall(r"# TODO (\d+)", file.read_text())]
        assert numbers == list(range(1, len(numbers) + 1)) != [], file.name


def test_its_documents_link_to_nothing_that_is_not_there(workspace: Path) -> None:
    documents = [*workspace.glob("docs/*.md"), workspace / "README.md"]
    assert len(documents) == 3
    for document in documents:
        test_docs.test_relative_links_resolve(document)


def test_a_folder_with_something_in_it_is_left_alone(workspace: Path) -> None:
    (workspace / "README.md").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        make_workspace(workspace)
    assert (workspace / "README.md").read_text() == "mine"


# ---- What counts as written --------------------------------------------------------------------

STUBS = {
    "raises": "def f():\n    raise NotImplementedError",
    "raises_with_a_text": 'def f():\n    """Returns."""\n    raise NotImplementedError("later")',
    "passes": "def f():\n    pass",
    "dots": "def f(): ...",
    "async": "async def f():\n    '''Returns.'''",
    "only_imports": "import os\nfrom pathlib import Path",
    "nothing": "",
    "a_text": '"""The names of a join."""',
}
WRITTEN = {
    "raises_something_else": "def f():\n    raise ValueError",
    "returns": "def f():\n    return None",
    "does_and_raises": "def f():\n    print()\n    raise NotImplementedError",
    "a_value": "import os\nX = 1",
    "does_not_parse": "def f(:",
    "null_byte": "\0",
}


@pytest.mark.parametrize("name", [*STUBS, *WRITTEN])
def test_a_script_is_there_when_it_is_more_than_a_stub(name: str, tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text({**STUBS, **WRITTEN}[name])
    assert scripts(tmp_path) == ([file] if name in WRITTEN else [])


def test_a_stub_gives_way_to_another_file_that_has_the_function(tmp_path: Path) -> None:
    (tmp_path / "default.py").write_text("X = 1\ndef f():\n    raise NotImplementedError")
    with pytest.raises(NotAttemptedError):
        script_that_defines(tmp_path, "default.py", "f")
    (tmp_path / "other.py").write_text("def f():\n    return 1")
    assert script_that_defines(tmp_path, "default.py", "f") == tmp_path / "other.py"
