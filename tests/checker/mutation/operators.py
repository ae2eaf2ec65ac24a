"""The operators that mutate a file: cosmic-ray's for Python, and ours of operators.toml."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

TAKES_ARGUMENTS = {"VariableInserter", "VariableReplacer"}  # and draws numbers without a seed
PROVIDER = OperatorProvider()
COSMIC_RAY = {name: PROVIDER[name]() for name in PROVIDER if name not in TAKES_ARGUMENTS}
TABLES = tomllib.loads(Path(__file__).with_name("operators.toml").read_text())
OURS = {f"{kind}/{name}": pair for kind, table in TABLES.items() for name, pair in table.items()}
IS_SQL = re.compile(r"\b(SELECT|FROM|WHERE|INTERVAL|TRY_CAST|PRIMARY)\b")


@dataclass(frozen=True)
class Place:
    """A place that an operator changes: the `occurrence`-th that it finds in the file."""

    operator: str
    occurrence: int
    line: int
    column: int


def places(source: str, file: str) -> Iterator[Place]:
    """Yield each place of a file that an operator can change."""
    definitions = file == "features.py"
    if file.endswith(".py"):
        found = _places_of_cosmic_ray(source)
        yield from (p for p in found if not (definitions and p.operator == "NumberReplacer"))
    texts = _lines_of_sql(source) if file.endswith(".py") and not definitions else None
    for operator, (pattern, _) in OURS.items():
        if operator.startswith("feast/" if definitions else "sql/"):
            for number, match in enumerate(re.finditer(pattern, source, re.IGNORECASE)):
                before = source[: match.start()]
                line, column = before.count("\n") + 1, match.start() - before.rfind("\n") - 1
                if texts is None or line in texts:
                    yield Place(operator, number, line, column)


def _places_of_cosmic_ray(source: str) -> Iterator[Place]:
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in COSMIC_RAY.items():
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for number, (line, column) in enumerate(starts):
            yield Place(name, number, line, column)


def _lines_of_sql(source: str) -> set[int]:
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant | ast.JoinedStr)]
    texts = [n for n in nodes if IS_SQL.search(ast.get_source_segment(source, n) or "")]
    return {line for n in texts for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def mutated(source: str, place: Place) -> str:
    """Return the file with the place changed."""
    if place.operator in COSMIC_RAY:
        return str(mutate_code(source, COSMIC_RAY[place.operator], place.occurrence))
    pattern, new = OURS[place.operator]
    match = list(re.finditer(pattern, source, re.IGNORECASE))[place.occurrence]
    return source[: match.start()] + match.expand(new) + source[match.end() :]
