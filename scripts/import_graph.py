#!/usr/bin/env python3
"""Print the checker's import graph by folder; exit 1 where it breaks the order of the folders.

An import stays in its folder or goes down: to a folder of a lower layer, never up, never to another
folder of the same layer, and modules form no circle. A checks.py imports `checker.api` only.

Imports are read from syntax trees; nothing is imported, so a name that is composed at run time
is not seen.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (  # the highest first
    ("cli", "api"),
    ("run", "serving", "streaming", "monitoring"),
    ("submission",),
    ("render", "sandbox", "hidden"),
    ("verdict",),
    ("settings",),
)
LAYER_OF = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
API = "checker.api"
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

    A relative import begins with its dots. Imports for type checking only do not count, as they
    never run.
    """
    for node in _nodes(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, alias.name) for alias in node.names)


def imports_of(file: Path) -> set[str]:
    """Return the dotted names that a file may import, and the strings that may name a module.

    `from a import b` is `a` and `a.b`. A string counts as in `[sys.executable, "-m", "a.b"]`.
    Raises ValueError on a relative import.
    """
    found = {
        dotted
        for module, name in imported_names(file)
        for dotted in (module, f"{module}.{name}" if name else module)
    }
    if relative := [dotted for dotted in found if dotted.startswith(".")]:
        raise ValueError(f"{file} has a relative import: {min(relative)}")
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


def graph_of(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports; a package only where nothing in it is meant."""
    graph = {}
    for module, file in files.items():
        found = {name for name in imports_of(file) if name in files} - {module}
        graph[module] = {
            name for name in found if not any(other.startswith(f"{name}.") for other in found)
        }
    return graph


def folder_of(module: str) -> str:
    """Return the folder of a module: the part of its name after `checker`."""
    return module.split(".")[1]


def arrows(graph: Mapping[str, set[str]]) -> dict[str, dict[str, int]]:
    """Return how many imports lead from each folder to each other folder."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for module, imported in graph.items():
        for other in imported:
            if "." in module and "." in other and folder_of(module) != folder_of(other):
                counts[folder_of(module)][folder_of(other)] += 1
    return counts


def breaks(root: Path) -> list[str]:
    """Return a sentence for each import that breaks the order, and for a circle of modules."""
    graph = graph_of(modules(root / "checker"))
    folders = {folder_of(module) for module in graph if "." in module}
    if unknown := sorted(folders - set(LAYER_OF)):
        return [f"checker/{folder} is in no layer of LAYERS" for folder in unknown]
    found = [
        f"{folder} imports {other}, which is not below it"
        for folder, others in arrows(graph).items()
        for other in others
        if LAYER_OF[other] <= LAYER_OF[folder]
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' imports '.join(reversed(error.args[1]))}")
    for file in sorted(root.glob("exercise_*/checks.py")):
        names = {module for module, _ in imported_names(file) if module.startswith("checker")}
        found += [f"{file.relative_to(root)} imports {name}" for name in sorted(names - {API})]
    return found


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from _nodes(other)
        else:
            yield node
            yield from _nodes(node)


def main() -> None:
    """Print a line for each folder, layer by layer, then what breaks the order."""
    found = arrows(graph_of(modules(ROOT / "checker")))
    for folders in LAYERS:
        for folder in folders:
            targets = sorted(found.get(folder, {}).items(), key=lambda item: LAYER_OF[item[0]])
            print(f"{folder:<11} -> {', '.join(f'{name} {count}' for name, count in targets)}")
        print()
    problems = breaks(ROOT)
    print("\n".join(problems) or "no circle, no arrow up; each checks.py imports checker.api only")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
