"""The functions that the brief names, and how a submission's scripts define or bind them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from checker.submission.scripts import script_that_defines, scripts
from checker.submission.syntax import parsed
from checker.submission.workspace import STARTER
from checker.verdict.outcome import NotAttemptedError

CALLED_IN = (2, 3, 6)  # of the other exercises the files are run, and no function is called
MAIN = "main"
Function = ast.FunctionDef | ast.AsyncFunctionDef
IN_THE_SCOPE = (
    *(ast.If, ast.Try, ast.TryStar, ast.ExceptHandler, ast.With, ast.For, ast.While),
    *(ast.Match, ast.match_case),
)
# The decorator keeps the object that the name is bound to; the function is never called.
EXPOSED = """

@lambda _, own={name}: own
def {name}():
    return None
"""


@cache
def brief_functions(exercise: int) -> tuple[str, ...]:
    """Return the functions that the starter files leave to be written, where checks call them."""
    if exercise not in CALLED_IN:
        return ()
    files = sorted(STARTER.glob(f"exercise_{exercise:02d}_*/**/*.py"))
    trees = [ast.parse(file.read_text()) for file in files]
    return tuple(name for tree in trees for name in _top_level(tree) if name != MAIN)


def expose_functions(folder: Path, exercise: int) -> None:
    """Make each of the brief's functions one that the checks find, however it is bound.

    A `def` inside `if` or `try`, an alias, a partial or a bound method is a name of the file like
    any other: a function of that name, which keeps the object, is appended to the copy.
    """
    for name in brief_functions(exercise):
        if not defines(folder, name) and (file := _file_that_binds(folder, name)):
            with file.open("a") as copy:
                copy.write(EXPOSED.format(name=name))


def defines(folder: Path, function: str) -> bool:
    """Return whether a file of an exercise defines a function, and more than a stub of it."""
    try:
        script_that_defines(folder, "", function)
    except NotAttemptedError:
        return False
    return True


def top_level_functions(folder: Path) -> set[str]:
    """Return the functions at the top level of any file, those to be written too."""
    trees = [parsed(file.read_bytes()) for file in folder.rglob("*.py") if file.is_file()]
    return {name for tree in trees if tree for name in _top_level(tree)}


def defined_functions(folder: Path) -> list[str]:
    """Return all functions and methods of an exercise's scripts, by their dotted names."""
    return [
        name
        for file in scripts(folder)
        if (tree := parsed(file.read_bytes()))
        for name in _dotted_names(tree)
    ]


def _top_level(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, Function)]


def _file_that_binds(folder: Path, name: str) -> Path | None:
    is_stub = name in top_level_functions(folder)
    for file in scripts(folder):
        tree = parsed(file.read_bytes())
        if tree and any(_binds(node, name, is_stub) for node in _module_scope(tree)):
            return file
    return None


def _module_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run at import: not those of functions, classes or `__main__`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, IN_THE_SCOPE) and not _is_main(child):
            yield from _module_scope(child)
        elif isinstance(child, ast.stmt):
            yield child


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)


def _binds(node: ast.AST, name: str, is_stub: bool) -> bool:
    """Return whether a statement binds a name; the `def` or import of a stub does not count."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        leaves = [leaf for target in targets for leaf in ast.walk(target)]
        return any(isinstance(leaf, ast.Name) and leaf.id == name for leaf in leaves)
    if isinstance(node, ast.ImportFrom):
        return not is_stub and any(name == (alias.asname or alias.name) for alias in node.names)
    return not is_stub and isinstance(node, Function) and node.name == name


def _dotted_names(node: ast.AST, prefix: str = "") -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            dotted = f"{prefix}{child.name}"
            if isinstance(child, Function):
                yield dotted
            yield from _dotted_names(child, f"{dotted}.")
        else:
            yield from _dotted_names(child, prefix)
