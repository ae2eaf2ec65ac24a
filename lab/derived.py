"""State derived from a dataset, removed when the dataset is another one.

Redis, Kafka, the data folder and the build folder each keep a stamp, which names the dataset that
they were filled from. Contents without a stamp count as another dataset's.
"""

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from rich.console import Console

from lab import stack
from lab.dataset import manifest
from lab.dataset.tables import MANIFEST
from lab.settings import Settings, settings, utc_now
from lab.stack.server import Server

STAMP = "filled_from"
SPLITS = [f"{part}_{split}.parquet" for part in "Xy" for split in ("train", "val", "test")]
EXPORTED = ("training_data.parquet", "excluded.parquet")
RESULTS = ("load_test.png", "scorecard.json", "serving")


def separate_datasets(config: Settings = settings) -> None:
    """Remove what was derived from another dataset than the present one; print a line for each.

    Files are moved into build/earlier. A service that is down is checked when it runs again. A
    server that the user runs keeps its contents.
    """
    if not (config.data_dir / MANIFEST).exists():
        return
    dataset = manifest.read(config.data_dir)
    present = f"{dataset.name} {dataset.origin}".strip()
    data = [config.data_dir / name for name in (*SPLITS, *EXPORTED, "monitoring")]
    results = [*(config.build_dir / name for name in RESULTS), config.model_dir]
    earlier = config.build_dir / "earlier" / f"before-{utc_now():%Y%m%dT%H%M%S}"
    _separate("data", config.data_dir, present, lambda: _move(data, earlier))
    _separate("build", config.build_dir, present, lambda: _move(results, earlier))
    for service in stack.running(config):
        _separate(service.name, service.directory, present, partial(_clear, service))


def _separate(place: str, folder: Path, present: str, clear: Callable[[], str]) -> None:
    """Clear a place whose stamp, in `folder`, does not name the present dataset; then stamp it."""
    stamp = folder / STAMP
    found = stamp.read_text() if stamp.exists() else "unknown"
    if found == present:
        return
    if cleared := clear():
        line = f"  {place}: removed what came from other data ({found}): {cleared}"
        Console().print(line, highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(present)


def _clear(service: Server) -> str:
    """Empty a service; return in words what it had."""
    if service.is_the_users:
        return f"nothing, since you run it; remove it yourself at {service.address}"
    return service.clear()


def _move(files: Iterable[Path], folder: Path) -> str:
    """Move those that exist into `folder`; return their names in words, '' if there were none."""
    there = [file for file in files if file.exists()]
    if not there:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    for file in there:
        shutil.move(file, folder / file.name)
    return f"{', '.join(file.name for file in there)}; now in {folder}"
