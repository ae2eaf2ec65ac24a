"""A log's records as Flink's JSON format reads them: it accepts more than JSON."""

import json

import polars as pl

# Of two fields with one name the first counts, and `int` refuses NaN.
FLINK_JSON = json.JSONDecoder(
    strict=False,
    parse_float=str,
    parse_constant=int,
    object_pairs_hook=lambda pairs: dict(reversed(pairs)),
)


def as_json(record: bytes | None) -> bytes | None:
    """Return the object or array of a record; text that follows is ignored."""
    text = record or b""
    try:
        found, _ = FLINK_JSON.raw_decode(text.decode(json.detect_encoding(text)).lstrip())
    except (ValueError, RecursionError):
        return None
    return json.dumps(found).encode()


def as_flink_reads(log: pl.DataFrame) -> pl.DataFrame:
    """Return a log whose records are JSON of the standard."""
    return log.with_columns(value=pl.Series(map(as_json, log["value"]), dtype=pl.Binary))
