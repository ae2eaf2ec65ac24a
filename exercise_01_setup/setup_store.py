"""Exercise 1: register the entities, views and services, and see that they can be asked for.

Run it with `lab run 1`. It applies the definitions only when they changed.
"""

import hashlib

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
    """`feast apply`, if the definitions changed since the last time; whether it ran."""
    applied = settings.data_dir / "registry.applied"
    registry = settings.data_dir / REGISTRY
    fingerprint = definitions_fingerprint()
    if registry.exists() and applied.exists() and applied.read_text() == fingerprint:
        return False

    if not registry.exists():
        empty_online_store()
    feast("apply")
    applied.write_text(fingerprint)
    return True


def empty_online_store() -> None:
    """A new registry starts with an empty online store: what is there belongs to other data."""
    client = connect_redis()
    for key in client.scan_iter(match="*ml_platform_features", count=1_000):
        client.delete(key)


def show_registry() -> None:
    """What can be asked for."""
    store = open_store()
    table = Table("kind", "name", "about", "TTL", box=box.SIMPLE)
    for entity in store.list_entities():
        table.add_row("entity", entity.name, entity.description)
    for view in store.list_feature_views():
        features = f"{len(view.features)} features of {view.entities[0]}"
        table.add_row("feature view", view.name, features, f"{view.ttl.days} d")
    for on_demand in store.list_on_demand_feature_views():
        features = f"{len(on_demand.features)} features of a request"
        table.add_row("on demand", on_demand.name, features)
    for service in store.list_feature_services():
        table.add_row("service", service.name, service.description)
    console.print(table)


def main() -> None:
    describe_data()
    connect_redis()
    if apply_definitions():
        console.print("  the definitions are applied")
        show_registry()
    else:
        console.print("  the definitions are unchanged: nothing to apply")


if __name__ == "__main__":
    run_script(main)
