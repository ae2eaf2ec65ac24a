"""The raw transactions as events, in the order and with the times at which they happened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from exercise_05_streaming.production.events import Record, iso, key_of, milliseconds, packed
from lab.errors import UserError
from lab.settings import settings

COLUMNS = ["user_id", "merchant_id", "amount", "is_approved", "event_timestamp", "transaction_id"]
BATCH = 10_000


def raw_transactions(folder: Path | None = None) -> Iterator[Record]:
    """Every transaction of `folder`, by default the lab's, as a record of its own time.

    UserError where there are none.
    """
    file = (folder or settings.data_dir) / "transactions.parquet"
    if not file.exists():
        raise UserError(f"there is nothing to replay: {file} is missing", "lab data")
    table = pq.read_table(file, columns=COLUMNS).sort_by("event_timestamp")
    for batch in table.to_batches(max_chunksize=BATCH):
        yield from map(_record, batch.to_pylist())


def _record(row: dict[str, Any]) -> Record:
    moment = row.pop("event_timestamp")
    event = {**row, "event_time": iso(moment)}
    return Record(key_of(event), packed(event), milliseconds(moment))
