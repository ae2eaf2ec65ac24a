"""The import graph of a small package, and the digest that is made of it."""

import textwrap
from pathlib import Path

import pytest

from checker.verdict.brief import EXERCISES
from scripts.import_graph import closure, modules
from tests.checker import digests

FILES = {
    "grader/__init__.py": "",
    "grader/api.py": "from grader.room.stream import Stream\nfrom grader.room import events\n",
    "grader/runner.py": "import grader.card\n\n\ndef run():\n    from grader import child\n",
    "grader/card.py": '"""A card."""\nimport json\n',
    "grader/child.py": 'COMMAND = ["-m", "grader.script"]\n',
    "grader/script.py": "",
    "grader/room/__init__.py": "",
    "grader/room/stream.py": """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from grader.room.events import Event
        else:
            from grader import card
        """,
    "grader/room/events.py": "from grader.room.stream import Stream\n",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(source))
    return modules(tmp_path / "grader")


@pytest.mark.parametrize(
    ("start", "reached"),
    [
        (["grader.runner"], {"grader.runner", "grader.card", "grader.child", "grader.script"}),
        (["grader.room.stream"], {"grader.room", "grader.room.stream", "grader.card"}),
        (["json", "grader.card"], {"grader.card"}),
    ],
    ids=["functions and names of modules", "not for type checking", "not outside of the package"],
)
def test_a_closure_follows_imports(
    start: list[str], reached: set[str], files: dict[str, Path]
) -> None:
    assert closure(start, files) == {"grader", *reached}


@pytest.mark.parametrize(
    ("source", "is_same"),
    [
        ("def f(a):\n    '''Other words.'''\n    return a\n", True),
        ("def f(a):  # a comment\n\n    return (a)\n", True),
        ("def f(a):\n    '''Words.'''\n    return a + 1\n", False),
        ("'''Words.'''\n\ndef f(b):\n    return b\n", False),
    ],
)
def test_python_is_what_it_does(source: str, is_same: bool) -> None:
    original = digests.python_content("def f(a):\n    '''Words.'''\n    return a\n")
    assert (digests.python_content(source) == original) is is_same


GRADES = {
    "checker.run.runner": {1, 2, 3, 4, 5, 6},
    "checker.serving.server": {4, 5},
    "checker.streaming.stream": {5},
    "checker.cli": set(),
    "checker.settings": set(),
}


@pytest.mark.slow
def test_a_module_grades_the_exercises_that_reach_it() -> None:
    reached = {exercise: digests.grading_modules(exercise) for exercise in EXERCISES}
    found = {
        name: {exercise for exercise in EXERCISES if name in reached[exercise]} for name in GRADES
    }
    assert found == GRADES
