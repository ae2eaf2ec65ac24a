"""Files that replace others whole, or not at all."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd


def write_together(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each table to `folder`/NAME.parquet: all are written beside, then all are renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = {name: folder / f".{name}.parquet.new" for name in tables}
    try:
        for name, table in tables.items():
            table.to_parquet(beside[name], index=False)
        for name, file in beside.items():
            file.rename(folder / f"{name}.parquet")
    finally:
        for file in beside.values():
            file.unlink(missing_ok=True)
