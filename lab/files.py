"""Files that replace others whole, or not at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


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


def write_together(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each table to `folder`/NAME.parquet: all are complete before the first is renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    temp_paths = {name: folder / f".{name}.parquet.new" for name in tables}
    try:
        for name, table in tables.items():
            table.to_parquet(temp_paths[name], index=False)
        for name, file in temp_paths.items():
            file.rename(folder / f"{name}.parquet")
    finally:
        for file in temp_paths.values():
            file.unlink(missing_ok=True)
