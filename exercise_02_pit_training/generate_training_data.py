"""Exercise 2: training data in which every value was known at the moment of its row.

Run it with `lab run 2`. It joins all labelled transactions with the features of the service
`fraud_detection` at their point in time, recomputes a sample from the raw events, exports splits by
time, and shows how many values a naive join would change.
"""

from collections.abc import Iterable

import pandas as pd
from rich.console import Console

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from exercise_02_pit_training.recount import recount
from exercise_02_pit_training.splits import NO_HISTORY, SPLITS, split_by_time
from lab import dataset
from lab.errors import run_script
from lab.feature_store import open_store, service_definition, with_declared_types
from lab.files import write_together
from lab.settings import settings

SERVICE = "fraud_detection"
HISTORY = ("user_transaction_features", "merchant_risk_features")
PRODUCT_VIEW = "product_popularity_features"
AMOUNT = "transaction_amount"
LABEL = "is_fraud"
KEYS = ["user_id", "merchant_id", "event_timestamp"]
PRODUCT = "product_id"
TRAINING_DATA = "training_data"

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
    rows = raw.rename(columns={"amount": AMOUNT, "label": LABEL})
    columns = [*KEYS, *([PRODUCT] if PRODUCT in rows else []), AMOUNT, LABEL]
    return rows[columns].reset_index(drop=True)


def get_training_data(entity_df: pd.DataFrame, *, as_known: bool = True) -> pd.DataFrame:
    """Return the features of each row at its point in time, in the order of `entity_df`.

    The features are those of the service, so that training and serving share one definition; a
    frame with the product's key gets the product's features, too. A snapshot that was written after
    the row's moment could not have been served, so rows are also compared with their created
    timestamp; `as_known=False` shows what that prevents.
    """
    store = open_store()
    views: dict[str, Iterable[str]] = {**service_definition(store, SERVICE).views}
    if PRODUCT in entity_df:
        fields = store.get_feature_view(PRODUCT_VIEW).features
        views[PRODUCT_VIEW] = [field.name for field in fields]
    numbered = entity_df.assign(row=range(len(entity_df)))
    job = store.get_historical_features(
        entity_df=numbered,
        features=[f"{view}:{name}" for view, names in views.items() for name in names],
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


def model_inputs(training_df: pd.DataFrame) -> pd.DataFrame:
    """Return the features of the service in its order, and the amount, with imputed values.

    A missing streaming row means a quiet user here: the history has no gap of a stopped pipeline.
    """
    service = service_definition(open_store(), SERVICE)
    inputs = [name for name in (*service.types, AMOUNT) if name in training_df]
    return training_df[inputs].fillna(quiet_values(service.views.get(STREAMING_VIEW, ())))


def has_history(training_df: pd.DataFrame) -> pd.Series:
    """Return whether each row's user and merchant have a snapshot, as criterion 2.2 demands."""
    views = service_definition(open_store(), SERVICE).views
    found = [training_df[training_df.columns.intersection(views[view])] for view in HISTORY]
    return found[0].notna().any(axis=1) & found[1].notna().any(axis=1)


def export_training_data(training_df: pd.DataFrame, waiting: pd.DataFrame | None = None) -> None:
    """Write the six split files, training_data.parquet, and excluded.parquet.

    The six hold rows with history only. training_data.parquet has all rows of the three splits,
    with NaN, keys and split: a model should learn from the rows that serving will meet.
    excluded.parquet holds each row that is in none of the six, with its reason; `waiting` are those
    that were left out before the join.
    """
    known = has_history(training_df)
    split = split_by_time(training_df["event_timestamp"], known, settings.label_maturity)
    is_used = split.isin(SPLITS)
    inputs, labels = model_inputs(training_df), training_df[[LABEL]].astype("int64")
    rows = pd.concat([training_df[KEYS], inputs, labels], axis=1).assign(split=split)
    files = {TRAINING_DATA: rows[is_used]}
    for name in SPLITS:
        chosen = known & (split == name)
        files |= {f"X_{name}": inputs[chosen], f"y_{name}": labels[chosen]}
        positive = labels.loc[chosen, LABEL].mean()
        console.print(f"  {name}: {chosen.sum():,} rows, {positive:.2%} positive")
    excluded = training_df.assign(reason=split.where(known, NO_HISTORY))[~(known & is_used)]
    files["excluded"] = excluded if waiting is None else pd.concat([excluded, waiting])
    for reason, count in files["excluded"]["reason"].value_counts().items():
        console.print(f"  excluded, {reason}: {count:,} rows")
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
