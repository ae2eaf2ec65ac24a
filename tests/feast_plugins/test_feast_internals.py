"""Only one module of the plug-ins uses what is private in Feast."""

import ast
from collections.abc import Iterator
from pathlib import Path

from lab.settings import settings

PLUGINS = settings.root / "feast_plugins"
INTERNALS = "feast_internals.py"


def private_imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("feast."):
            yield from (each.name for each in node.names if each.name.startswith("_"))


def test_only_one_module_imports_what_is_private() -> None:
    found = {path.name: list(private_imports(path)) for path in PLUGINS.glob("*.py")}
    assert {name: names for name, names in found.items() if names} == {INTERNALS: ["_redis_key"]}


def test_only_one_module_calls_the_clients_of_feasts_store() -> None:
    callers = [path.name for path in PLUGINS.glob("*.py") if "._get_client" in path.read_text()]
    assert callers == [INTERNALS]
