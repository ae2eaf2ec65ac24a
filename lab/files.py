"""Atomic replacement of files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a temporary path; it is renamed to `file` when the block ends without an error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temp_path = file.with_name(f".{file.name}.new")
    try:
        yield temp_path
        temp_path.rename(file)
    finally:
        temp_path.unlink(missing_ok=True)
