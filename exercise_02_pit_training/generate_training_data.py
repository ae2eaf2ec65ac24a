"""Exercise 2: training data in which every value was known at the moment of its row.

Run it with `lab run 2`. It joins all labelled transactions with the features as they were known,
recounts a sample from the raw events, exports splits by time, and shows what a naive join would do.
"""

import pandas as pd
from rich.console import Console

from exercise_02_pit_training.recount import recount
from exercise_02_pit_training.splits import SPLITS, split_by_time
from lab import dataset
from lab.errors import run_script
from lab.feature_store import open_store, with_declared_types
from lab.files import write_together
from lab.settings import settings

USER_FEATURES = ["transaction_count_7d", "transaction_count_30d", "avg_transaction_amount"]
MERCHANT_FEATURES = ["chargeback_rate", "total_transactions_30d"]
REQUEST_FEATURES = ["amount_vs_avg_ratio", "is_large_transaction", "transaction_velocity"]
FEATURES = [
    *(f"user_transaction_features:{name}" for name in USER_FEATURES),
    *(f"merchant_risk_features:{name}" for name in MERCHANT_FEATURES),
    *(f"transaction_request_features:{name}" for name in REQUEST_FEATURES),
]
CRITICAL = [*USER_FEATURES, *MERCHANT_FEATURES]
MODEL_INPUTS = [*USER_FEATURES, *MERCHANT_FEATURES, *REQUEST_FEATURES, "transaction_amount"]
LABEL = "is_fraud"
KEYS = ["user_id", "merchant_id", "event_timestamp"]

LEAKAGE_SAMPLE = 5_000

console = Console()


def create_entity_df(transactions: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each transaction whose label can be trusted and whose features had time to fill.

    A payment is known to be honest only when its chargeback can no longer come, so the youngest
    transactions are left out, all of them: keeping the early frauds would make fraud look common.
    A declined payment never gets a label: no one can charge it back.
    """
    raw = _raw_transactions() if transactions is None else transactions
    return _entity_rows(raw[_reason_to_wait(raw) == ""])


def rows_too_early_or_young(transactions: pd.DataFrame) -> pd.DataFrame:
    """The transactions that create_entity_df leaves out, each with its reason."""
    reason = _reason_to_wait(transactions)
    waiting = reason != ""
    return _entity_rows(transactions[waiting]).assign(reason=reason[waiting].to_numpy())


def _raw_transactions() -> pd.DataFrame:
    return pd.read_parquet(settings.data_dir / "transactions.parquet")


def _reason_to_wait(raw: pd.DataFrame) -> pd.Series:
    time = raw["event_timestamp"]
    reason = pd.Series("", index=raw.index)
    reason[raw["label"].isna()] = "no label"
    reason[time < time.min() + settings.warm_up] = "features still filling"
    reason[time >= dataset.as_of() - settings.label_maturity] = "label not mature"
    return reason


def _entity_rows(raw: pd.DataFrame) -> pd.DataFrame:
    names = {"amount": "transaction_amount", "label": LABEL}
    rows = raw.rename(columns=names)[[*KEYS, "transaction_amount", LABEL]]
    return rows.reset_index(drop=True)


def get_training_data(entity_df: pd.DataFrame, *, as_known: bool = True) -> pd.DataFrame:
    """The features of each row as they were known at its moment, in the order of `entity_df`.

    Known, not only true: a snapshot that the pipeline wrote later could not have been served, so
    rows are also held against their created timestamp; `as_known=False` shows what that hides.
    """
    store = open_store()
    numbered = entity_df.assign(row=range(len(entity_df)))
    job = store.get_historical_features(
        entity_df=numbered,
        features=FEATURES,
        filter_by_created_timestamp=as_known,
    )
    # In order, also where LAB_STORES=feast: Feast's own stores return the rows in another one.
    training_df = job.to_df().sort_values("row", ignore_index=True).drop(columns="row")
    return with_declared_types(training_df, store)


def validate_pit_correctness(training_df: pd.DataFrame) -> bool:
    """Recount a sample of rows from the raw events; True when every value agrees, bit for bit."""
    sample = training_df.sample(
        min(settings.recount_sample, len(training_df)), random_state=settings.seed
    )
    expected = recount(sample)
    compared = [name for name in expected if name in sample and not expected[name].isna().all()]
    wrong = {name: int((~_same(sample[name], expected[name])).sum()) for name in compared}
    total = len(sample) * len(compared)
    console.print(
        f"  recounted from raw events: {total - sum(wrong.values()):,} of {total:,} values agree"
    )
    for name in [name for name, count in wrong.items() if count]:
        console.print(f"  [red]{name}: {wrong[name]:,} values differ[/]")
    return not any(wrong.values())


def _same(left: pd.Series, right: pd.Series) -> pd.Series:
    left, right = left.astype("float64").reset_index(drop=True), right.reset_index(drop=True)
    return (left == right) | (left.isna() & right.isna())


def demonstrate_leakage() -> pd.DataFrame:
    """The user's transaction count as it was known, beside the latest one, row by row."""
    entity_df = create_entity_df().drop_duplicates(KEYS)
    sample = entity_df.sample(min(LEAKAGE_SAMPLE, len(entity_df)), random_state=settings.seed)
    as_known = get_training_data(sample)
    users = sample[["user_id"]].drop_duplicates().assign(event_timestamp=dataset.as_of())
    latest = open_store().get_historical_features(
        entity_df=users, features=["user_transaction_features:transaction_count_30d"]
    )
    comparison = as_known[[*KEYS, "transaction_count_30d"]].merge(
        latest.to_df()[["user_id", "transaction_count_30d"]],
        on="user_id",
        how="left",
        validate="many_to_one",
        suffixes=("", "_latest"),
    )
    drift = comparison["transaction_count_30d_latest"] - comparison["transaction_count_30d"]
    changed = (drift != 0).mean()
    console.print(f"  a naive join changes transaction_count_30d in {changed:.0%} of the rows")
    return comparison


def export_training_data(training_df: pd.DataFrame, waiting: pd.DataFrame | None = None) -> None:
    """Write the six split files, and excluded.parquet with every row that is in none of them.

    `waiting` holds the rows that were left out before the join, with their reason.
    """
    critical = [name for name in CRITICAL if not training_df[name].isna().all()]
    has_history = training_df[critical].notna().all(axis=1)
    split = split_by_time(training_df["event_timestamp"], has_history, settings.label_maturity)
    files = {}
    for name in SPLITS:
        rows = training_df[split == name]
        files[f"X_{name}"] = rows[[column for column in MODEL_INPUTS if column in rows]]
        files[f"y_{name}"] = rows[[LABEL]].astype("int64")
        console.print(f"  {name}: {len(rows):,} rows, {rows[LABEL].mean():.2%} positive")
    aside = training_df.assign(reason=split)[~split.isin(SPLITS)]
    files["excluded"] = pd.concat([aside, waiting]) if waiting is not None else aside
    for reason, count in files["excluded"]["reason"].value_counts().items():
        console.print(f"  set aside, {reason}: {count:,} rows")
    write_together(files, settings.data_dir)


def main() -> None:
    raw = _raw_transactions()
    entity_df, waiting = create_entity_df(raw), rows_too_early_or_young(raw)
    console.print(f"Exercise 2: {len(entity_df):,} labelled transactions of {len(raw):,}")
    training_df = get_training_data(entity_df)
    if not validate_pit_correctness(training_df):
        raise SystemExit("the training data do not agree with the raw events")
    export_training_data(training_df, waiting)
    demonstrate_leakage()


if __name__ == "__main__":
    run_script(main)
