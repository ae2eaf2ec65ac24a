"""Edits of a submission's files; each finds its place by symbol, syntax tree, or key."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from tests.checker.syntax_tree import (
    NotFoundOnceError,
    is_same_tree,
    replace_definition,
    replace_statement,
)

STRUCTURED = (".py", ".yaml", ".yml", ".toml")


class EditError(Exception):
    """An edit does not apply."""


@dataclass(frozen=True)
class Edit:
    """A change of one file."""

    file: str

    def apply(self, folder: Path) -> None:
        """Edit the file below `folder`; EditError when there is no such file or no such place."""
        path = folder / self.file
        if not path.is_file():
            raise EditError(f"there is no {self.file}")
        before = path.read_text()
        after = self.edited(before)
        if before == after or (path.suffix == ".py" and is_same_tree(before, after)):
            raise EditError(f"an edit changes nothing in {self.file}")
        path.write_text(after)

    def edited(self, text: str) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class ReplaceDefinition(Edit):
    """Replace the definition of a symbol; no `new` text removes it."""

    symbol: str
    new: str

    def edited(self, text: str) -> str:
        return _by_tree(self.file, lambda: replace_definition(text, self.symbol, self.new))


@dataclass(frozen=True)
class ReplaceStatement(Edit):
    """Replace statements or an expression, found once within a symbol or the file."""

    statement: str
    new: str
    symbol: str | None = None

    def edited(self, text: str) -> str:
        return _by_tree(
            self.file, lambda: replace_statement(text, self.statement, self.new, self.symbol)
        )


def _by_tree(file: str, replace: Callable[[], str]) -> str:
    try:
        return replace()
    except NotFoundOnceError as error:
        raise EditError(f"{file} {error}") from None
    except SyntaxError as error:
        raise EditError(f"an edit of {file} is not Python: {error}") from None


@dataclass(frozen=True)
class SetKey(Edit):
    """Set a dotted key of a YAML or TOML file; without a value the key is removed.

    The key has to be there, unless `new_key` declares that the edit adds it.
    """

    key: str
    value: Any = None
    new_key: bool = False

    def edited(self, text: str) -> str:
        is_toml = self.file.endswith(".toml")
        load, dump = (tomllib.loads, write_toml) if is_toml else (yaml.safe_load, _write_yaml)
        content = load(text)
        *tables, last = self.key.split(".")
        table = content
        for name in tables:
            table = table.setdefault(name, {})
        if (last in table) is self.new_key:
            raise EditError(f"{self.file} has {'a' if self.new_key else 'no'} key {self.key}")
        if self.value is None:
            del table[last]
        else:
            table[last] = self.value
        return text if content == load(text) else dump(content)


def _write_yaml(content: Any) -> str:
    return str(yaml.safe_dump(content, sort_keys=False))


def write_toml(content: Mapping[str, Any]) -> str:
    """Write keys and flat tables of strings and numbers."""
    tables = {name: table for name, table in content.items() if isinstance(table, dict)}
    top = {name: value for name, value in content.items() if name not in tables}
    parts = [_pairs(top), *(f"\n[{name}]\n{_pairs(table)}" for name, table in tables.items())]
    return "".join(parts).lstrip("\n")


def _pairs(table: Mapping[str, Any]) -> str:
    as_json = {name: json.dumps(value, ensure_ascii=False) for name, value in table.items()}
    return "".join(f"{json.dumps(name)} = {value}\n" for name, value in as_json.items())


@dataclass(frozen=True)
class Create(Edit):
    """Write a new file."""

    create: str

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        if path.exists():
            raise EditError(f"{self.file} exists already")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.create)


@dataclass(frozen=True)
class Rewrite(Edit):
    """Replace the whole content of a file that has no structure to search."""

    rewrite: str

    def edited(self, text: str) -> str:
        if self.file.endswith(STRUCTURED):
            raise EditError(f"{self.file} is edited by symbol, statement or key, not rewritten")
        return self.rewrite


KINDS = (ReplaceDefinition, ReplaceStatement, SetKey, Create, Rewrite)


def edit_of(entry: Mapping[str, Any]) -> Edit:
    """Return the edit of a TOML entry; its keys name the kind."""
    for kind in KINDS:
        known = {field.name for field in fields(kind)}
        needed = {field.name for field in fields(kind) if field.default is MISSING}
        if needed <= set(entry) <= known:
            return kind(**entry)
    raise EditError(f"an edit has the keys {', '.join(entry)}, which are no kind of edit")
