"""Exercise 2: training data in which every value was known at the moment of its row.

Nothing here runs when the file is imported: only `main`, the last function, runs with the file.
"""

import pandas as pd

from lab.learn import script


def create_entity_df() -> pd.DataFrame:
    """Return the transactions to train on.

    Columns user_id, merchant_id, event_timestamp (UTC), transaction_amount, is_fraud.
    """
    # TODO 1: read data/transactions.parquet, and leave out the rows whose label may still change.
    raise NotImplementedError


def get_training_data(entity_df: pd.DataFrame) -> pd.DataFrame:
    """Return each row of `entity_df` with the features at its event_timestamp."""
    # TODO 2: get_historical_features, with the user's and the merchant's features.
    raise NotImplementedError


def validate_pit_correctness(training_df: pd.DataFrame) -> bool:
    """Return whether the features are those of each row's moment: not later, not stale."""
    # TODO 3: recompute a sample in another way than the join did. Counting nulls shows no leak.
    raise NotImplementedError


def demonstrate_leakage() -> pd.DataFrame:
    """Return keys and event_timestamp, a feature's point-in-time value, and its newest one."""
    # TODO 4: join the newest value on purpose, and keep one row per transaction.
    raise NotImplementedError


def export_training_data(training_df: pd.DataFrame) -> None:
    """Write X_train, X_val, X_test, y_train, y_val and y_test to data/, 70/15/15."""
    # TODO 5: no row twice, none lost, the label in y only, no nulls in critical features.
    raise NotImplementedError


@script
def main() -> None:
    """Call the functions in this order."""
    # TODO 6: create, join, validate, export, demonstrate.
    raise NotImplementedError
