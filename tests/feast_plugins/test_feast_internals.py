"""The private functions of Feast that the plug-ins use; a new Feast that moves one fails here."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.online_stores import helpers
from feast.infra.online_stores.redis import RedisOnlineStore

from lab.settings import settings

PLUGINS = settings.root / "feast_plugins"
INTERNALS = "feast_internals.py"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (helpers._redis_key, ["project", "entity_key", "entity_key_serialization_version"]),
        (helpers.compute_versioned_name, ["table", "enable_versioning"]),
        (RedisOnlineStore._get_client, ["self", "online_store_config"]),
        (RedisOnlineStore._get_client_async, ["self", "online_store_config"]),
        # overridden by the plug-ins
        (RedisOnlineStore._parse_connection_string, ["connection_string"]),
        (RedisOnlineStore.delete_table, ["self", "config", "table"]),
        (RedisOnlineStore.teardown, ["self", "config", "tables", "entities"]),
        (LocalComputeEngine._materialize_one, ["self", "registry", "task", "kwargs"]),
    ],
)
def test_feast_has_the_function(function: object, parameters: list[str]) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters) == parameters


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
