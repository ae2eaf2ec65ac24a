"""The functions that the brief names, and how a submission's scripts define or bind them."""

import ast
import symtable
from functools import cache
from pathlib import Path

from checker.submission.scripts import script_that_defines, scripts
from checker.submission.syntax import parsed
from checker.submission.workspace import STARTER
from checker.verdict.outcome import NotAttemptedError

CALLED_IN = (2, 3, 6)  # of the other exercises the files are run, and no function is called
MAIN = "main"
Function = ast.FunctionDef | ast.AsyncFunctionDef
# The decorator keeps the object that the name is bound to; the function is never called.
EXPOSED = """

@lambda _, own={name}: own
def {name}():
    return None
"""


@cache
def brief_functions(exercise: int) -> set[str]:
    """Return the functions that the starter files leave to be written, where checks call them."""
    (folder,) = STARTER.glob(f"exercise_{exercise:02d}_*")
    return top_level_functions(folder) - {MAIN} if exercise in CALLED_IN else set()


def expose_functions(folder: Path, exercise: int) -> None:
    """Make each of the brief's functions one that the checks find, however it is bound.

    A `def` inside `if` or `try`, an alias, a partial or a bound method is a name of the file like
    any other: a function of that name, which keeps the object, is appended to the copy.
    """
    for name in sorted(brief_functions(exercise) - top_level_functions(folder)):
        if file := next((file for file in scripts(folder) if _binds(file, name)), None):
            with file.open("a") as copy:
                copy.write(EXPOSED.format(name=name))


def is_written(folder: Path, function: str) -> bool:
    """Return whether a file of an exercise defines a function, and more than a stub of it."""
    try:
        script_that_defines(folder, "", function)
    except NotAttemptedError:
        return False
    return True


def top_level_functions(folder: Path) -> set[str]:
    """Return the functions at the top level of any file, those to be written too."""
    return {
        node.name for tree in _trees(folder) for node in tree.body if isinstance(node, Function)
    }


def all_functions(folder: Path) -> set[str]:
    """Return the functions and methods of all files, at any depth."""
    nodes = (node for tree in _trees(folder) for node in ast.walk(tree))
    return {node.name for node in nodes if isinstance(node, Function)}


def _trees(folder: Path) -> list[ast.Module]:
    files = [file for file in sorted(folder.rglob("*.py")) if file.is_file()]
    return [tree for file in files if (tree := parsed(file.read_bytes()))]


def _binds(file: Path, name: str) -> bool:
    """Return whether a file binds a name when it is imported."""
    if not parsed(file.read_bytes()):
        return False
    table = symtable.symtable(file.read_text(), str(file), "exec")
    found = table.lookup(name) if name in table.get_identifiers() else None
    return found is not None and (found.is_assigned() or found.is_imported())
