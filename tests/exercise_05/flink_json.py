"""A log's records as Flink's JSON format reads them: it accepts more than JSON."""

import json
from typing import Any

import polars as pl

# Of two fields with one name the first counts, and `int` refuses NaN.
FLINK_JSON = json.JSONDecoder(
    strict=False,
    parse_float=str,
    parse_constant=int,
    object_pairs_hook=lambda pairs: dict(reversed(pairs)),
)


def events_of(record: bytes | None) -> list[Any]:
    """Return the object of a record, or those of its array; text that follows is ignored."""
    text = record or b""
    try:
        found, _ = FLINK_JSON.raw_decode(text.decode(json.detect_encoding(text)).lstrip())
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else [found]


def as_flink_reads(log: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each event of a log, as JSON of the standard."""
    events = [[json.dumps(event).encode() for event in events_of(r)] for r in log["value"]]
    return log.with_columns(value=pl.Series(events, dtype=pl.List(pl.Binary))).explode("value")
