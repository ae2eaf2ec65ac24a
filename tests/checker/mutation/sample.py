"""The mutants of the reference's solutions: those that can be made, and a sample by a seed.

`scope.toml` defines what is mutated. A mutant's rank in the sample depends on its file, definition,
line and operator only, so that an edit elsewhere leaves the sample as it is. Half of the sample are
of our operators, if there are that many, and few are at one place.
"""

import ast
import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from lab.settings import ROOT
from tests.checker.mutation.operators import OURS, Place, mutated, places

SCOPE = tomllib.loads(Path(__file__).with_name("scope.toml").read_text())
SEED = 11
SAMPLE = 60
AT_A_PLACE = 6
MESSAGES = re.compile(r"(console\.)?print\(|log(ger|ging)?\.")


@dataclass(frozen=True)
class ReferenceMutant:
    """A change of one place of the reference."""

    exercise: int
    file: str
    definition: str
    place: Place
    key: str

    def __str__(self) -> str:
        return f"{self.exercise}-{self.key}"

    def mutated(self) -> str:
        return mutated(_source(self.file), self.place)

    def diff(self) -> str:
        """Return the changed lines, with one of context."""
        before, after = _source(self.file).splitlines(), self.mutated().splitlines()
        return "\n".join(islice(unified_diff(before, after, n=1, lineterm=""), 3, None))

    def is_one(self) -> bool:
        """Return whether the file is still Python, and another program than before."""
        before, after = _source(self.file), self.mutated()
        try:
            is_python = self.file.endswith(".py")
            return not is_python or ast.dump(ast.parse(before)) != ast.dump(ast.parse(after))
        except SyntaxError:
            return False


def _source(file: str) -> str:
    return (ROOT / file).read_text()


@cache
def sample(exercise: int) -> list[ReferenceMutant]:
    """Return the mutants that count."""
    ranked = _spread(possible(exercise))
    ours = [mutant for mutant in ranked if mutant.place.operator in OURS]
    theirs = [mutant for mutant in ranked if mutant.place.operator not in OURS]
    half = SAMPLE // 2
    chosen = filter(ReferenceMutant.is_one, [*ours[:half], *theirs, *ours[half:]])
    return sorted(islice(chosen, SAMPLE), key=lambda mutant: mutant.key)


def _spread(found: Iterable[ReferenceMutant]) -> list[ReferenceMutant]:
    """Rank mutants: one at each place, then a second one at each, and so on."""
    turns: list[list[ReferenceMutant]] = [[] for _ in range(AT_A_PLACE)]
    taken = Counter[tuple[str, int, int]]()
    for mutant in sorted(found, key=lambda mutant: mutant.key):
        at = (mutant.file, mutant.place.line, mutant.place.column)
        if taken[at] < AT_A_PLACE:
            turns[taken[at]].append(mutant)
            taken[at] += 1
    return [mutant for turn in turns for mutant in turn]


@cache
def possible(exercise: int) -> Sequence[ReferenceMutant]:
    """Return every mutant of an exercise that its scope allows."""
    return list(_possible(exercise))


def _possible(exercise: int) -> Iterator[ReferenceMutant]:
    scope: dict[str, Any] = SCOPE[str(exercise)]
    for name in scope["files"]:
        file = f"{scope['folder']}/{name}"
        definition_at, seen = _definitions(file), Counter[str]()
        for place in places(_source(file), name):
            line = _source(file).splitlines()[place.line - 1].strip()
            definition = definition_at(place)
            is_open = any(text in line for text in scope.get("left_open", ()))
            if definition and definition not in scope["skip"] and not is_open:
                text = f"{SEED} {file} {definition} {place.operator} {line}"
                seen[text] += 1
                key = hashlib.sha256(f"{text} {seen[text]}".encode()).hexdigest()[:8]
                yield ReferenceMutant(exercise, file, definition, place, key)


def _definitions(file: str) -> Any:
    """Return a function that names the top-level definition at a place, if code is there."""
    if file.endswith(".sql"):
        return lambda place: "query"
    body = ast.parse(_source(file)).body
    named = [(_span(node), _name(node)) for node in body]
    left_out = [span for node in body for span in _not_code(node)]

    def definition_at(place: Place) -> str:
        at = (place.line, place.column)
        if any(start <= at < end for start, end in left_out):
            return ""
        return next((name for (start, end), name in named if start <= at < end), "")

    return definition_at


def _name(node: ast.stmt) -> str:
    """Return the name that a statement defines, or an empty one."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _not_code(node: ast.stmt) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield types, default values, docstrings, messages, and `strict`, an assertion of ours."""
    for child in ast.walk(node):
        parts = [getattr(child, name, None) for name in ("annotation", "returns")]
        if isinstance(child, ast.arguments):
            parts += [*child.defaults, *child.kw_defaults]
        if _is_message(child) or (isinstance(child, ast.keyword) and child.arg == "strict"):
            parts.append(child)
        yield from (_span(part) for part in parts if part)


def _is_message(node: ast.AST) -> bool:
    if isinstance(node, ast.If | ast.For):
        return not node.orelse and all(map(_is_message, node.body))
    if isinstance(node, ast.Expr):
        is_docstring = isinstance(node.value, ast.Constant)
        return is_docstring or MESSAGES.match(ast.unparse(node)) is not None
    return isinstance(node, ast.Raise)


def _span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
