"""Find and replace a piece of Python source by symbol or by syntax tree, never by exact text."""

import ast
import textwrap
from collections.abc import Iterator, Sequence

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Piece = Sequence[ast.stmt] | ast.expr


class NotFoundOnceError(Exception):
    """A symbol or a statement is missing, or there are several; the message ends a sentence."""


def replace_definition(source: str, symbol: str, new: str) -> str:
    """Replace a function, a class, or an assignment, with its decorators; `""` removes it."""
    definition = _definition(ast.parse(source), symbol)
    if isinstance(definition, ast.Assign) and len(definition.targets) > 1:
        raise NotFoundOnceError(f"assigns {symbol} together with another name")
    return _replaced(source, [definition], new)


def replace_statement(source: str, statement: str, new: str, symbol: str | None = None) -> str:
    """Replace the one statement, run of statements, or expression of this syntax tree."""
    tree = ast.parse(source)
    scope = tree if symbol is None else _definition(tree, symbol)
    wanted = ast.parse(textwrap.dedent(statement).strip()).body
    if len(wanted) == 1 and isinstance(wanted[0], ast.Expr):
        found: list[Piece] = [*_equal_expressions(scope, wanted[0].value)]
    else:
        found = [*_equal_runs(scope, wanted)]
    if len(found) != 1:
        inside = "" if symbol is None else f"in {symbol} "
        raise NotFoundOnceError(f"has {inside}{_count(len(found), 'match', 'es')} of `{statement}`")
    result = _replaced(source, found[0], new)
    if not _holds(result, new):
        raise NotFoundOnceError(f"does not hold `{new.strip()}` after the edit; add brackets")
    return result


def _holds(source: str, new: str) -> bool:
    """Return whether new text is a piece of its own: not split by what stands next to it."""
    wanted = ast.parse(textwrap.dedent(new).strip()).body
    if len(wanted) == 1 and isinstance(wanted[0], ast.Expr):
        return any(_equal_expressions(ast.parse(source), wanted[0].value))
    return not wanted or any(_equal_runs(ast.parse(source), wanted))


def is_same_tree(source: str, other: str) -> bool:
    """Return whether two sources differ in layout and comments at most."""
    try:
        return ast.dump(ast.parse(source)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False


def _count(number: int, noun: str, plural: str) -> str:
    return f"{number} {noun}{plural}" if number else f"no {noun}"


def _definition(tree: ast.Module, symbol: str) -> ast.stmt:
    scope: ast.AST = tree
    for name in symbol.split("."):
        found = [node for node in _statements_of(scope) if name in _names_of(node)]
        if len(found) != 1:
            raise NotFoundOnceError(f"has {_count(len(found), 'definition', 's')} of {symbol}")
        scope = found[0]
    assert isinstance(scope, ast.stmt)
    return scope


def _statements_of(scope: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a scope, those of its blocks too; not those of inner scopes."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, Definition | ast.expr):
            yield from _statements_of(node)


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, Definition):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _equal_expressions(scope: ast.AST, wanted: ast.expr) -> Iterator[ast.expr]:
    """Yield what is equal, but for parts of an f-string: Python 3.11 has no positions of them."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.expr) and ast.dump(node) == ast.dump(wanted):
            yield node
        if not isinstance(node, ast.JoinedStr):
            yield from _equal_expressions(node, wanted)


def _equal_runs(scope: ast.AST, wanted: Sequence[ast.stmt]) -> Iterator[Sequence[ast.stmt]]:
    tree = [ast.dump(node) for node in wanted]
    for node in ast.walk(scope):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, [])
            for start in range(len(block) - len(wanted) + 1 if isinstance(block, list) else 0):
                run = block[start : start + len(wanted)]
                if [ast.dump(statement) for statement in run] == tree:
                    yield run


def _replaced(source: str, piece: Piece, new: str) -> str:
    """Put new text at a piece's place, at the indentation of its first line."""
    first, last = (piece, piece) if isinstance(piece, ast.expr) else (piece[0], piece[-1])
    lines = source.encode().splitlines(keepends=True)
    decorators = getattr(first, "decorator_list", [])
    start_line = min([first.lineno, *(node.lineno for node in decorators)])
    start = sum(map(len, lines[: start_line - 1])) + first.col_offset
    end = sum(map(len, lines[: (last.end_lineno or 0) - 1])) + (last.end_col_offset or 0)
    line = lines[start_line - 1].decode()
    indentation = line[: len(line) - len(line.lstrip())]
    text = source.encode()
    return (text[:start] + _indented(new, indentation).encode() + text[end:]).decode()


def _indented(new: str, indentation: str) -> str:
    """Indent all lines but the first, and those within a string."""
    text = textwrap.dedent(new).strip()
    unchanged = {1, *_lines_within_strings(text)}
    lines = text.split("\n")
    return "\n".join(
        line if number in unchanged or not line else indentation + line
        for number, line in enumerate(lines, start=1)
    )


def _lines_within_strings(source: str) -> set[int]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]
    return {line for node in strings for line in range(node.lineno + 1, (node.end_lineno or 0) + 1)}
