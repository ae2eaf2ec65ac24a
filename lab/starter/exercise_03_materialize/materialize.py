"""Exercise 3: copy the newest feature values from the offline store to Redis."""

from datetime import datetime

from lab.learn import script


def initial_materialization(days_back: int = 7) -> None:
    """Write the features of the last `days_back` days."""
    # TODO 1: store.materialize, from and to a moment in UTC.
    raise NotImplementedError


def incremental_materialization() -> None:
    """Write what is new since the last run, and nothing else."""
    # TODO 2: store.materialize_incremental.
    raise NotImplementedError


def validate_materialization() -> bool:
    """Return whether Redis and the offline store have the same values."""
    # TODO 3: compare every entity, not one. Keys in Redis are hashes.
    raise NotImplementedError


def backfill_features(start_date: datetime, end_date: datetime) -> None:
    """Write the features of a range of days; newer values that are there stay."""
    # TODO 4: in chunks, so that a long range fits into memory.
    raise NotImplementedError


def monitor_materialization() -> None:
    """Report the memory of Redis, its keys, and how fresh each view is."""
    # TODO 5: count with SCAN; KEYS stops Redis while it runs.
    raise NotImplementedError


@script
def main() -> None:
    """Run the initial materialization, then the validation."""
    # TODO 6: call the functions.
    raise NotImplementedError
