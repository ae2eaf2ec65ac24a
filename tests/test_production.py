"""Production has parts of its own: it repeats no code and no SQL of the solution."""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.settings import ROOT

STATEMENTS = 8  # so many in a row, alike but for names and constants, are a repetition
SQL_CHARACTERS = 80
PRODUCTION = sorted(ROOT.glob("exercise_*/production"))
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")

Places = dict[object, str]


class Anonymous(ast.NodeTransformer):
    """Take the names and constants from a syntax tree."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name, value in ast.iter_fields(node):
            if isinstance(value, str | int | float | bytes):
                setattr(node, name, "_")
        return super().generic_visit(node)


def statements(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each statement in the order of the source, without its blocks, with its line."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt) and not _is_plain(node):
            head = copy.copy(node)
            for block in BLOCKS:
                if hasattr(head, block):
                    setattr(head, block, [])
            yield ast.dump(Anonymous().visit(copy.deepcopy(head))), node.lineno
        yield from statements(node)


def _is_plain(node: ast.stmt) -> bool:
    """Return whether a statement is an import or a docstring, which repeat by nature."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom)


def places(folder: Path, without: str = "") -> Places:
    """Return the runs of statements and the long strings of a folder, with their places."""
    found: Places = {}
    for file in folder.rglob("*.py"):
        if file.name == "checks.py" or without in file.relative_to(folder).parts:
            continue
        tree = ast.parse(file.read_text())
        listed = [*statements(tree)]
        for start in range(len(listed) - STATEMENTS + 1):
            run = tuple(text for text, _ in listed[start : start + STATEMENTS])
            found[run] = f"{file.name}:{listed[start][1]}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.split())
                if len(text) >= SQL_CHARACTERS and ("SELECT" in text or "redis.call" in text):
                    found[text] = f"{file.name}:{node.lineno}"
    for file in folder.rglob("*.sql"):
        if without not in file.relative_to(folder).parts:
            found[" ".join(file.read_text().split())] = f"{file.name}:1"
    return found


def repetitions(exercise: Path) -> list[str]:
    """Return the parts that the solution and its production share."""
    solution, production = places(exercise, "production"), places(exercise / "production", "-")
    shared = sorted(solution.keys() & production.keys(), key=lambda each: production[each])
    return [f"production/{production[each]} repeats {solution[each]}" for each in shared]


@pytest.mark.parametrize("folder", PRODUCTION, ids=lambda folder: folder.parent.name)
def test_production_repeats_nothing_of_the_solution(folder: Path) -> None:
    assert repetitions(folder.parent) == []


SOURCE = """
def total(rows, limit):
    found = []
    for row in rows:
        if row.amount > limit:
            found.append(row)
    low = min(found)
    high = max(found)
    print(low, high)
    return high - low, "{}"
"""
QUERY = "SELECT user_id, tile_start, count(*) FROM accepted GROUP BY user_id, tile_start, place"


@pytest.mark.parametrize(
    ("before", "after", "is_repeated"),
    [
        ("", "", True),
        ("total", "other_name", True),
        ("row", "payment", True),
        ("max(found)", "sorted(found)[-1]", False),
    ],
)
def test_a_copy_is_found(before: str, after: str, is_repeated: bool, tmp_path: Path) -> None:
    (tmp_path / "production").mkdir()
    (tmp_path / "main.py").write_text(SOURCE)
    (tmp_path / "production" / "part.py").write_text(SOURCE.replace(before, after))
    assert bool(repetitions(tmp_path)) is is_repeated


@pytest.mark.parametrize(("query", "is_repeated"), [(QUERY.replace(" ", "\n"), True), ("-", False)])
def test_a_copied_query_is_found(query: str, is_repeated: bool, tmp_path: Path) -> None:
    (tmp_path / "production").mkdir()
    (tmp_path / "main.py").write_text(f'QUERY = """{QUERY}"""\n')
    (tmp_path / "production" / "part.py").write_text(f'SQL = """{query}"""\n')
    assert bool(repetitions(tmp_path)) is is_repeated
