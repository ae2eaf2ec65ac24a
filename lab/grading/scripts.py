"""Finds the scripts of an exercise, and those that define a function; nothing is imported."""

import ast
from pathlib import Path

from lab.grading.outcome import NotAttemptedError


def scripts(folder: Path) -> list[Path]:
    """The Python files of an exercise, in the order of paths; a grader's checks are none."""
    return [file for file in sorted(folder.rglob("*.py")) if file.name != "checks.py"]


def script_that_defines(folder: Path, default: str, function: str) -> Path:
    """The file of `folder` that defines `function`, the one named `default` first.

    Raises NotAttemptedError when none does.
    """
    for file in sorted(scripts(folder), key=lambda file: file.name != default):
        if _defines(file.read_text(errors="replace"), function):
            return file
    raise NotAttemptedError(f"no file in {folder.name} defines {function}()")


def _defines(source: str, function: str) -> bool:
    """Whether a file defines `function` at its top level; it is only parsed."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in body)
