"""The digest of a mutant: its patch, the solution that it changes, and the code that grades it."""

import ast
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import yaml

from checker.verdict.brief import CRITERIA, with_needs
from lab.settings import ROOT
from scripts.import_graph import closure, imported_names, modules
from tests.checker.limits import LOWERED
from tests.checker.mutants import PLAIN, Mutant

PACKAGE = ROOT / "checker"
REPOSITORY = 1  # the exercise of the feature repository
# The values of settings are those of the thresholds; the others only word and label a result.
NOT_GRADING = {
    "checker.settings",
    *("checker.verdict.hints", "checker.verdict.plain_text", "checker.verdict.provenance"),
}
RUNNER = "checker.run.runner"
API = "checker.api"
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
SINCE_3_12 = ", type_params=[]"


def digest_of(mutant: Mutant) -> str:
    """Return a digest that changes with the patch, the solution, and the code that grades it."""
    patch = [mutant.criterion, [asdict(edit) for edit in mutant.edits], mutant.limits]
    content = json.dumps(patch) + plain_content(mutant.exercise) + grading_content(mutant.exercise)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def plain_content(exercise: int) -> str:
    """Return what the plain solution's files mean, of an exercise and of those that it needs."""
    numbers = needed_exercises(exercise) | {REPOSITORY}
    folders = [*PLAIN.glob("*.toml")]
    folders += [folder for number in numbers for folder in PLAIN.glob(f"exercise_{number:02d}_*")]
    found = [file for folder in folders for file in (folder, *folder.rglob("*"))]
    files = sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)
    return "".join(f"{file.relative_to(PLAIN)} {content_of(file)}" for file in files)


@cache
def grading_content(exercise: int) -> str:
    """Return the checks of an exercise, the modules that run them, and all limits.

    Not the checks of the exercises that it needs: the right solutions prove that those pass.
    """
    modules_ = [_modules()[name] for name in sorted(grading_modules(exercise))]
    files = [*_checks(exercise), *modules_, PACKAGE / "thresholds.toml"]
    return "".join(map(content_of, files)) + json.dumps(LOWERED)


def grading_modules(exercise: int) -> set[str]:
    """Return the checker's modules that the runner and the checks of an exercise import.

    `lab` and `feast_plugins`, which they import too, have tests of their own.
    """
    imported = {module for file in _checks(exercise) for module in imported_modules(file)}
    return closure({RUNNER, *imported}, _modules()) - NOT_GRADING


def needed_exercises(exercise: int) -> set[int]:
    """Return the exercises of the criteria that those of an exercise need, and itself."""
    criteria = {criterion.id for criterion in CRITERIA if criterion.exercise == exercise}
    return {criterion.exercise for criterion in with_needs(criteria)}


def _checks(exercise: int) -> list[Path]:
    return list(ROOT.glob(f"exercise_{exercise:02d}_*/checks.py"))


def imported_modules(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports; a name of `API` is one of the module it is made in."""
    files = _modules()
    for module, name in imported_names(file):
        if module == API:
            yield _origin_of(name)
        else:
            yield f"{module}.{name}" if f"{module}.{name}" in files else module


@cache
def _modules() -> dict[str, Path]:
    return modules(PACKAGE)


def _origin_of(name: str) -> str:
    files = _modules()
    (module,) = [source for source, given in imported_names(files[API]) if given == name]
    return f"{module}.{name}" if f"{module}.{name}" in files else module


@cache
def content_of(file: Path) -> str:
    """Return what a file means: a tree of Python, the values of YAML or TOML, or else its text."""
    return CONTENT_OF.get(file.suffix, str)(file.read_text())


def python_content(source: str) -> str:
    """Return the tree without positions and docstrings; Python 3.11 and 3.12 give the same."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree).replace(SINCE_3_12, "")


CONTENT_OF: dict[str, Callable[[str], str]] = {
    ".py": python_content,
    ".yaml": lambda text: json.dumps(yaml.safe_load(text)),
    ".toml": lambda text: json.dumps(tomllib.loads(text)),
}
