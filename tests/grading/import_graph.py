"""The import graph of a package, from its syntax trees: nothing is imported."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

INIT = "__init__"


def modules(package: Path) -> dict[str, Path]:
    """Return the files of a package by dotted name; a folder's `__init__.py` has the folder's."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = (package.name, *file.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == INIT else parts)] = file
    return found


def imported_names(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each module that a file imports, and the name that it takes from it, or ''.

    Imports for type checking only do not count: they never run.
    """
    for node in _nodes(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{file} has a relative import in line {node.lineno}")
            yield from ((str(node.module), alias.name) for alias in node.names)


def imports_of(file: Path) -> set[str]:
    """Return the dotted names that a file may import, and the strings that may name a module.

    `from a import b` is `a` and `a.b`. A string counts as in `[sys.executable, "-m", "a.b"]`.
    """
    found = {
        dotted
        for module, name in imported_names(file)
        for dotted in (module, f"{module}.{name}" if name else module)
    }
    for node in _nodes(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def closure(starts: Iterable[str], files: Mapping[str, Path]) -> set[str]:
    """Return the modules of `files` that `starts` import, directly or not, and their packages."""
    reached: set[str] = set()
    waiting = [*starts]
    while waiting:
        module = waiting.pop()
        if module in files and module not in reached:
            reached.add(module)
            waiting += [module.rpartition(".")[0], *imports_of(files[module])]
    return reached


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from _nodes(other)
        else:
            yield node
            yield from _nodes(node)
