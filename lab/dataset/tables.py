"""The tables' schemas, and atomic replacement of a set of files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def feature_schema(entity: str, **features: pa.DataType) -> pa.Schema:
    """Return the schema: an entity, event time, created time, the values."""
    times = {"event_timestamp": UTC_MICROSECONDS, "created_timestamp": UTC_MICROSECONDS}
    return pa.schema({entity: pa.string(), **times, **features})


MANIFEST = "dataset.json"
REGISTRY = "registry.db"
IMPORTED = "imported"  # all of an imported table, while some of it is later than the as-of
REFUSED = "refused.csv"  # rows of an imported file that were rejected, with the reasons
TRUTH = "truth"  # of a simulation; no raw table, for raw tables are copied into submissions
TRUTH_SCHEMA = pa.schema(
    {"transaction_id": pa.string(), "is_fraud": pa.bool_(), "kind": pa.string()}
)

RAW_TABLES: dict[str, pa.Schema] = {
    "transactions": pa.schema(
        {
            "transaction_id": pa.string(),
            "user_id": pa.string(),
            "merchant_id": pa.string(),
            "product_id": pa.string(),
            "event_timestamp": UTC_MICROSECONDS,
            "amount": pa.float64(),
            "is_approved": pa.bool_(),
            "label": pa.int64(),
            "label_timestamp": UTC_MICROSECONDS,
        }
    ),
    "product_views": pa.schema(
        {"user_id": pa.string(), "product_id": pa.string(), "event_timestamp": UTC_MICROSECONDS}
    ),
    **{
        table: pa.schema(
            {
                "transaction_id": pa.string(),
                "merchant_id": pa.string(),
                "event_timestamp": UTC_MICROSECONDS,
                "amount": pa.float64(),
            }
        )
        for table in ("chargebacks", "refunds")
    },
}

FEATURE_TABLES: dict[str, pa.Schema] = {
    "user_stats": feature_schema(
        "user_id",
        transaction_count_7d=pa.int64(),
        transaction_count_30d=pa.int64(),
        avg_transaction_amount=pa.float32(),
        total_amount_30d=pa.float32(),
    ),
    "merchant_stats": feature_schema(
        "merchant_id",
        chargeback_rate=pa.float32(),
        refund_rate=pa.float32(),
        total_transactions_30d=pa.int64(),
        transactions_24h_vs_daily_mean=pa.float32(),
        chargeback_count_30d=pa.int64(),
    ),
    "product_stats": feature_schema(
        "product_id",
        view_count_7d=pa.int64(),
        purchase_count_30d=pa.int64(),
        purchase_rate=pa.float32(),
    ),
    "user_preferences": feature_schema(
        "user_id",
        last_product_id=pa.string(),
        last_merchant_id=pa.string(),
        distinct_products=pa.int64(),
        weekend_share=pa.float32(),
    ),
    "user_streaming": feature_schema(
        "user_id",
        **{
            f"{what}_{window}": kind
            for window in ("5m", "1h", "24h", "session")
            for what, kind in (
                ("transaction_count", pa.int64()),
                ("total_amount", pa.float64()),
                ("avg_amount", pa.float64()),
                ("max_amount", pa.float64()),
                ("declined_count", pa.int64()),
            )
        },
    ),
}


@contextmanager
def staging(data_dir: Path) -> Iterator[Path]:
    """Yield a temporary folder inside data_dir for new files; it is deleted afterwards."""
    data_dir.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".staging-", dir=data_dir))
    try:
        yield stage
    finally:
        shutil.rmtree(stage)


def publish_dataset(stage: Path, data_dir: Path, *, replace: bool) -> None:
    """Put a whole dataset in place, the manifest last.

    Replacing also removes files of the old dataset alone: its other tables, its registry.
    """
    if replace:
        old = {f"{table}.parquet" for table in (*RAW_TABLES, *FEATURE_TABLES, IMPORTED, TRUTH)}
        old |= {REGISTRY, REFUSED}
        for name in old - {file.name for file in stage.iterdir()}:
            (data_dir / name).unlink(missing_ok=True)
    publish(stage, data_dir)
    os.replace(stage / MANIFEST, data_dir / MANIFEST)


def publish(stage: Path, data_dir: Path) -> None:
    """Move the finished files of stage over those of data_dir."""
    for file in sorted([*stage.glob("*.parquet"), *stage.glob(REFUSED)]):
        os.replace(file, data_dir / file.name)
