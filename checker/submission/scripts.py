"""Finds the scripts of an exercise, and those that define a function; nothing is imported.

What is still to be written counts as not there: a function of which the body is a docstring and
`raise NotImplementedError` (or `pass`, or `...`), and a file of nothing but imports and such
functions.
"""

import ast
from pathlib import Path

from checker.verdict.outcome import NotAttemptedError


def scripts(folder: Path) -> list[Path]:
    """The Python files of an exercise with something in them; a grader's checks are none.

    They come in the order of paths.
    """
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "checks.py"]
    return [file for file in files if not _is_unwritten(file.read_text(errors="replace"))]


def script_that_defines(folder: Path, default: str, function: str) -> Path:
    """The file of `folder` that defines `function`, the one named `default` first.

    Raises NotAttemptedError when none does.
    """
    for file in sorted(scripts(folder), key=lambda file: file.name != default):
        if _defines(file.read_text(errors="replace"), function):
            return file
    raise NotAttemptedError(f"no file in {folder.name} defines {function}()")


def _defines(source: str, function: str) -> bool:
    """Return whether a file defines `function` at its top level, and more than a stub of it."""
    return any(
        isinstance(node, ast.FunctionDef) and node.name == function and not _is_stub(node)
        for node in _statements(source) or []
    )


def _is_unwritten(source: str) -> bool:
    """Return whether a file parses, and holds nothing but texts, imports and stubs."""
    statements = _statements(source)
    return statements is not None and all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or _is_text(node)
        or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_stub(node))
        for node in statements
    )


def _is_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether the body is not written yet."""
    return all(_is_text(node) or _does_nothing(node) for node in function.body)


def _is_text(node: ast.stmt) -> bool:
    """Return whether a statement is a docstring or `...`."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _does_nothing(node: ast.stmt) -> bool:
    """Return whether it is `pass` or `raise NotImplementedError`, with a text or without."""
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(node, ast.Pass)


def _statements(source: str) -> list[ast.stmt] | None:
    """The top level of a file; None when it does not parse."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
