"""The measured figures of a run, stored in build/figures.json."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.files import replacing
from lab.settings import settings


def record(name: str, value: float, unit: str) -> None:
    """Store one figure; a later one of the same name replaces it."""
    file = settings.build_dir / "figures.json"
    figures = json.loads(file.read_text()) if file.exists() else {}
    figures[name] = {"value": round(value, 4), "unit": unit}
    with replacing(file) as temp_path:
        temp_path.write_text(json.dumps(figures, indent=2) + "\n")


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Record how many seconds the block took."""
    start = time.perf_counter()
    yield
    record(name, time.perf_counter() - start, "s")
