"""The manifest of the data, dataset.json: source, row counts, and the as-of time."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, computed_field

from lab.dataset.tables import MANIFEST, RAW_TABLES
from lab.errors import UserError

FEATURES_OF = {
    "chargebacks": ["merchant_stats.chargeback_rate"],
    "refunds": ["merchant_stats.refund_rate"],
    "product_views": ["product_stats.view_count_7d", "product_stats.purchase_rate"],
}


class Simulation(BaseModel):
    """Arguments of the simulator: they fix the rates, so that a history can continue."""

    model_config = ConfigDict(frozen=True)

    transactions: int
    seed: int
    history: timedelta

    @property
    def an_hour(self) -> float:
        return self.transactions / (self.history / timedelta(hours=1))


class Manifest(BaseModel):
    """Manifest of a dataset; written last, so that the files that it describes exist."""

    model_config = ConfigDict(frozen=True)

    name: str
    simulation: Simulation | None = None
    start: datetime
    as_of: datetime
    shifted_weeks: int = 0
    source_rows: int = 0  # of an imported file, the refused ones included
    refused: dict[str, int] = {}  # rows of it, by reason
    rows: dict[str, int] = {}
    absent: list[str] = []
    resolved_local_hours: dict[str, int] = {}
    label: str
    id: str = ""
    origin: str = ""  # the id that the dataset had when it was made; advancing keeps it

    @computed_field  # type: ignore[prop-decorator]
    @property
    def null_features(self) -> list[str]:
        """Return the features without any value, because their raw table is absent."""
        return [feature for table in self.absent for feature in FEATURES_OF.get(table, [])]

    @property
    def seed(self) -> int | None:
        return self.simulation.seed if self.simulation else None


def read(data_dir: Path) -> Manifest:
    """Read the manifest. Raises UserError if there is no dataset in data_dir."""
    file = data_dir / MANIFEST
    if not file.exists():
        raise UserError(f"no data yet: {file} is missing", "lab data simulate")
    return Manifest.model_validate_json(file.read_text())


def write(manifest: Manifest, folder: Path) -> None:
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")


def fingerprint(folder: Path) -> str:
    """Return a hash of the raw tables' bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for table in RAW_TABLES:
        file = folder / f"{table}.parquet"
        if file.exists():
            with file.open("rb") as content:
                digest.update(table.encode() + hashlib.file_digest(content, "blake2b").digest())
    return digest.hexdigest()
