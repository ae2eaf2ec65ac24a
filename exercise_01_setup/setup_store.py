"""Exercise 1: register entities, views and services, and show the registry.

Run it with `lab run 1`. It applies the definitions only when they changed.
"""

import hashlib
from typing import Any

import redis
from rich import box
from rich.console import Console
from rich.table import Table

from lab import dataset
from lab.dataset import manifest
from lab.errors import run_script
from lab.feature_store import REGISTRY, connect_redis, feast, open_store
from lab.settings import settings

console = Console()


def describe_data() -> None:
    """Say what the features are computed from."""
    data = manifest.read(settings.data_dir)
    console.print(
        f"Exercise 1: {data.rows['transactions']:,} transactions of “{data.name}”, "
        f"as of {dataset.as_of():%Y-%m-%d %H:%M} UTC"
    )
    if data.shifted_weeks:
        console.print(f"  all times moved by {data.shifted_weeks} whole weeks, to end there")
    if data.absent:
        console.print(f"  the source has no {', '.join(data.absent)}")


def definitions_fingerprint() -> str:
    """What `feast apply` depends on: the definitions, the stores, and where the data lie."""
    digest = hashlib.sha256(f"{settings.data_dir} {settings.stores}".encode())
    for name in ("features.py", "feature_store.yaml"):
        digest.update((settings.feature_repo / name).read_bytes())
    return digest.hexdigest()


def apply_definitions() -> bool:
    """Run `feast apply` if the definitions changed since the last time; return whether it ran."""
    applied = settings.data_dir / "registry.applied"
    registry = settings.data_dir / REGISTRY
    fingerprint = definitions_fingerprint()
    if registry.exists() and applied.exists() and applied.read_text() == fingerprint:
        return False

    applied.unlink(missing_ok=True)  # an interrupted run leaves a registry that is incomplete
    feast("apply")
    applied.write_text(fingerprint)
    return True


def show_registry() -> None:
    """Print what the registry holds; each service with its features by view."""
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


def show_redis(client: redis.Redis) -> None:
    """Print where the online store is, and how much it holds."""
    memory: Any = client.info("memory")
    console.print(
        f"  Redis at {settings.redis_address}: {client.dbsize():,} keys, "
        f"{memory['used_memory_human']} of {memory['maxmemory_human']}"
    )


def main() -> None:
    describe_data()
    client = connect_redis()
    state = "applied" if apply_definitions() else "unchanged since the last run"
    console.print(f"  the definitions are {state}")
    show_registry()
    show_redis(client)


if __name__ == "__main__":
    run_script(main)
