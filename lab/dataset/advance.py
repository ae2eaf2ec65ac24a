"""Advance the data in time: the same history, to a later as-of."""

from datetime import timedelta
from pathlib import Path

from lab.dataset import manifest
from lab.dataset.features import EPOCH, microseconds
from lab.dataset.importer import cut
from lab.dataset.manifest import Manifest
from lab.dataset.release import release
from lab.dataset.session import connect, count, literal
from lab.dataset.simulate import write_dataset
from lab.dataset.tables import IMPORTED, staging
from lab.errors import UserError


def advance(data_dir: Path, by: timedelta) -> Manifest:
    """Move the dataset's as-of by that much: existing rows stay, later events are added.

    Raises UserError if there is no dataset, or none of an imported one's events lies ahead.
    """
    if by <= timedelta(0):
        raise UserError("the as-of only moves forward", "lab data advance 1h")
    old = manifest.read(data_dir)
    as_of = old.as_of + by
    if old.simulation is not None:
        return write_dataset(data_dir, old.simulation, old.start, as_of, replace=False)
    history = data_dir / f"{IMPORTED}.parquet"
    with staging(data_dir) as stage, connect(stage) as connection:
        ahead = f"event_timestamp >= make_timestamptz({microseconds(old.as_of - EPOCH)})"
        rows = f"read_parquet({literal(history)}) WHERE {ahead}"
        if not history.exists() or count(connection, rows) == 0:
            raise UserError(
                f"the imported data ({old.name}) have no event after {old.as_of:%Y-%m-%d %H:%M} "
                "UTC: there is nothing to advance to",
                "lab data simulate",
            )
        cut(connection, history, stage, as_of)
        return release(old.model_copy(update={"as_of": as_of}), stage, data_dir, replace=False)
