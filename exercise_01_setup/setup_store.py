"""Exercise 1: register entities, views and services, and show the registry.

Run it with `lab run 1`. It applies `feature_repo/features.py` and prints what the registry holds.
"""

import json
import sys
from contextlib import chdir
from typing import Any

import redis
from feast import RepoConfig
from feast.repo_operations import apply_total
from rich import box
from rich.console import Console
from rich.table import Table

from lab.learn import UserError, as_of, open_store, run_script, settings, store_config

console = Console()


def describe_data() -> None:
    """Print which dataset the features are computed from."""
    file = settings.data_dir / "dataset.json"
    if not file.exists():
        raise UserError(f"there are no data in {settings.data_dir}", "lab data simulate")
    data = json.loads(file.read_text())
    console.print(
        f"Exercise 1: {data['rows']['transactions']:,} transactions of “{data['name']}”, "
        f"as of {as_of():%Y-%m-%d %H:%M} UTC"
    )
    if data["shifted_weeks"]:
        console.print(f"  all times moved by {data['shifted_weeks']} whole weeks, to end there")
    if data["absent"]:
        console.print(f"  the source has no {', '.join(data['absent'])}")


def apply_definitions() -> None:
    """Register features.py, as `feast apply` does, with the paths and ports of this machine."""
    sys.modules.pop("features", None)  # imported for another data folder
    if str(settings.feature_repo) not in sys.path:
        sys.path.insert(0, str(settings.feature_repo))
    config = RepoConfig(repo_path=settings.feature_repo, **store_config())
    with chdir(settings.feature_repo):
        apply_total(config, settings.feature_repo, skip_source_validation=False)


def show_registry() -> None:
    """Print entities, views and services; each service with its features by view."""
    store = open_store()
    table = Table("kind", "name", "about", "TTL", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.columns[1].no_wrap = True
    for entity in store.list_entities():
        table.add_row("entity", entity.name, entity.description)
    for view in store.list_feature_views():
        features = f"{len(view.features)} features of {view.entities[0]}"
        table.add_row("view", view.name, features, f"{view.ttl.days} d")
    for on_demand in store.list_on_demand_feature_views():
        features = f"{len(on_demand.features)} features of a request"
        table.add_row("on demand", on_demand.name, features)
    for service in store.list_feature_services():
        table.add_row("service", service.name, service.description)
        for projection in service.feature_view_projections:
            features = ", ".join(feature.name for feature in projection.features)
            table.add_row("", f"  {projection.name}", features)
    console.print(table)


def show_redis() -> None:
    """Print the address of the online store and its size; UserError when it is unavailable."""
    client = redis.Redis(settings.host, settings.redis_port, socket_timeout=5)
    try:
        memory: Any = client.info("memory")
    except redis.RedisError as error:
        problem = f"Redis is unavailable at {settings.redis_address}: {error}"
        raise UserError(problem, "lab up redis") from error
    console.print(
        f"  Redis at {settings.redis_address}: {client.dbsize():,} keys, "
        f"{memory['used_memory_human']} of {memory['maxmemory_human']}"
    )


def main() -> None:
    describe_data()
    apply_definitions()
    show_registry()
    show_redis()


if __name__ == "__main__":
    run_script(main)
