"""Exercise 2: training data in which every value was known at the moment of its row.

Run it with `lab run 2`. It joins all labelled transactions with the features of the service
`fraud_detection` at their point in time, recomputes a sample from the raw events, exports splits by
time, and shows how many values a naive join would change.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
from feast import FeatureStore
from rich.console import Console

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from exercise_02_pit_training.recompute import recompute
from exercise_02_pit_training.splits import NO_HISTORY, SPLITS, split_by_time
from lab.learn import as_of, open_store, run_script, settings

SERVICE = "fraud_detection"
BATCH_VIEWS = ("user_transaction_features", "merchant_risk_features")
PRODUCT_VIEW = "product_popularity_features"
AMOUNT = "transaction_amount"
LABEL = "is_fraud"
KEYS = ["user_id", "merchant_id", "event_timestamp"]
PRODUCT = "product_id"
DTYPES = {"Int64": "Int64", "Float32": "float32", "Float64": "float64", "String": "object"}

BURN_IN = timedelta(days=30)  # until a 30-day window is full
LABEL_MATURITY = timedelta(days=7)  # until most chargebacks have arrived
ROWS_PER_JOIN = 10_000  # Feast's duckdb store takes 7.2 GiB for 50,000 rows
RECOMPUTED_ROWS = 2_000
LEAKAGE_ROWS = 5_000

console = Console()


def create_entity_df(transactions: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row for each transaction with a mature label and full windows.

    A payment is known to be honest only when its chargeback can no longer come. So all of the
    youngest transactions are excluded: keeping the early frauds would make fraud look common.
    A declined payment never gets a label: it cannot be charged back.
    """
    rows = _with_reason(_raw_transactions() if transactions is None else transactions)
    return rows[rows["reason"] == ""].drop(columns="reason").reset_index(drop=True)


def excluded_rows(transactions: pd.DataFrame) -> pd.DataFrame:
    """Return the transactions that create_entity_df leaves out, each with its reason."""
    rows = _with_reason(transactions)
    return rows[rows["reason"] != ""].reset_index(drop=True)


def _raw_transactions() -> pd.DataFrame:
    return pd.read_parquet(settings.data_dir / "transactions.parquet")


def _with_reason(raw: pd.DataFrame) -> pd.DataFrame:
    """Return entity rows with the reason of their exclusion, or an empty one."""
    time = raw["event_timestamp"]
    conditions = {
        "label not mature": time >= as_of() - LABEL_MATURITY,
        "features still filling": time < time.min() + BURN_IN,
        "no label": raw["label"].isna(),
    }
    reason = np.select(list(conditions.values()), list(conditions), "")
    rows = raw.rename(columns={"amount": AMOUNT, "label": LABEL}).assign(reason=reason)
    columns = [*KEYS, *([PRODUCT] if PRODUCT in rows else []), AMOUNT, LABEL, "reason"]
    return rows[columns]


def get_training_data(
    entity_df: pd.DataFrame,
    store: FeatureStore | None = None,
    *,
    filter_by_created_timestamp: bool = True,
    rows_per_join: int = ROWS_PER_JOIN,
) -> pd.DataFrame:
    """Return the features of each row at its point in time, in the order of `entity_df`.

    Training and serving take the features from one service. A frame with the product's key gets the
    product's features, too. A snapshot written after the row's moment could not have been served:
    `filter_by_created_timestamp` excludes it.
    """
    store = store or open_store()
    views = service_features(store)
    if PRODUCT in entity_df:
        fields = store.get_feature_view(PRODUCT_VIEW).features
        views[PRODUCT_VIEW] = [field.name for field in fields]
    references = [f"{view}:{name}" for view, names in views.items() for name in names]
    rows = entity_df.assign(row=range(len(entity_df)))
    pieces = [
        store.get_historical_features(
            entity_df=rows.iloc[start : start + rows_per_join],
            features=references,
            filter_by_created_timestamp=filter_by_created_timestamp,
        ).to_df()
        for start in range(0, max(len(rows), 1), rows_per_join)
    ]
    # Feast's own stores return the rows in another order.
    joined = pd.concat(pieces).sort_values("row", ignore_index=True).drop(columns="row")
    return _with_declared_types(joined, store)


def service_features(store: FeatureStore) -> dict[str, list[str]]:
    """Return the features of the service by view, in its order."""
    service = store.get_feature_service(SERVICE)
    return {
        projection.name_to_use(): [field.name for field in projection.features]
        for projection in service.feature_view_projections
    }


def _with_declared_types(frame: pd.DataFrame, store: FeatureStore) -> pd.DataFrame:
    """Cast every feature to its declared type; Feast returns a nullable Int64 as float64."""
    views = [*store.list_feature_views(), *store.list_on_demand_feature_views()]
    declared = {field.name: str(field.dtype) for view in views for field in view.features}
    typed = frame.astype({name: DTYPES[declared[name]] for name in frame if name in declared})
    complete = [n for n in typed if typed[n].dtype == "Int64" and typed[n].notna().all()]
    return typed.astype(dict.fromkeys(complete, "int64"))


def validate_pit_correctness(training_df: pd.DataFrame) -> bool:
    """Recompute a sample of rows from the raw events; True when all values are bit-identical."""
    sample = training_df.sample(min(RECOMPUTED_ROWS, len(training_df)), random_state=settings.seed)
    expected = recompute(sample)
    compared = [name for name in expected if name in sample and not expected[name].isna().all()]
    wrong = {name: int((~_same(sample[name], expected[name])).sum()) for name in compared}
    total = len(sample) * len(compared)
    equal = total - sum(wrong.values())
    console.print(f"  recomputed from raw events: {equal:,} of {total:,} values agree")
    for name in [name for name, count in wrong.items() if count]:
        console.print(f"  [red]{name}: {wrong[name]:,} values differ[/]")
    return not any(wrong.values())


def _same(left: pd.Series, right: pd.Series) -> pd.Series:
    left, right = left.astype("float64").reset_index(drop=True), right.reset_index(drop=True)
    return (left == right) | (left.isna() & right.isna())


def demonstrate_leakage() -> pd.DataFrame:
    """Return each row's transaction count at its point in time, next to the user's latest one."""
    entity_df = create_entity_df().drop_duplicates(KEYS)
    sample = entity_df.sample(min(LEAKAGE_ROWS, len(entity_df)), random_state=settings.seed)
    point_in_time = get_training_data(sample)
    users = sample[["user_id"]].drop_duplicates().assign(event_timestamp=as_of())
    job = open_store().get_historical_features(
        entity_df=users, features=["user_transaction_features:transaction_count_30d"]
    )
    latest = job.to_df().set_index("user_id")["transaction_count_30d"]
    comparison = point_in_time[[*KEYS, "transaction_count_30d"]].assign(
        transaction_count_30d_latest=point_in_time["user_id"].map(latest)
    )
    changed = comparison["transaction_count_30d_latest"] != comparison["transaction_count_30d"]
    console.print(f"  a naive join changes transaction_count_30d in {changed.mean():.0%} of rows")
    return comparison


def model_inputs(training_df: pd.DataFrame) -> pd.DataFrame:
    """Return the features of the service in its order, and the amount, with imputed values.

    A missing streaming row means a quiet user here: the history has no gap of a stopped pipeline.
    """
    views = service_features(open_store())
    names = [name for features in views.values() for name in features]
    inputs = [name for name in (*names, AMOUNT) if name in training_df]
    return training_df[inputs].fillna(quiet_values(views.get(STREAMING_VIEW, ())))


def has_history(training_df: pd.DataFrame) -> pd.Series:
    """Return whether each row's user and merchant have a snapshot, which criterion 2.2 requires."""
    views = service_features(open_store())
    user, merchant = (training_df[training_df.columns.intersection(views[v])] for v in BATCH_VIEWS)
    return user.notna().any(axis=1) & merchant.notna().any(axis=1)


def export_training_data(training_df: pd.DataFrame, excluded: pd.DataFrame | None = None) -> None:
    """Write the six split files, training_data.parquet, and excluded.parquet.

    The six hold rows with history only. training_data.parquet has all rows of the three splits,
    with NaN, keys and split: a model should learn from the rows that serving will meet.
    excluded.parquet holds each row that is in none of the six, with its reason; `excluded` are
    those that were left out before the join.
    """
    known = has_history(training_df)
    split = split_by_time(training_df["event_timestamp"], known, LABEL_MATURITY)
    is_used = split.isin(SPLITS)
    inputs, labels = model_inputs(training_df), training_df[[LABEL]].astype("int64")
    rows = pd.concat([training_df[KEYS], inputs, labels], axis=1).assign(split=split)
    files = {"training_data": rows[is_used]}
    for name in SPLITS:
        chosen = known & (split == name)
        files |= {f"X_{name}": inputs[chosen], f"y_{name}": labels[chosen]}
        positive = labels.loc[chosen, LABEL].mean()
        console.print(f"  {name}: {chosen.sum():,} rows, {positive:.2%} positive")
    unused = training_df.assign(reason=split.where(known, NO_HISTORY))[~(known & is_used)]
    files["excluded"] = unused if excluded is None else pd.concat([unused, excluded])
    for reason, count in files["excluded"]["reason"].value_counts().items():
        console.print(f"  excluded, {reason}: {count:,} rows")
    for name, table in files.items():
        table.to_parquet(settings.data_dir / f".{name}.new", index=False)
    for name in files:  # the old set stays complete until the new one is
        (settings.data_dir / f".{name}.new").rename(settings.data_dir / f"{name}.parquet")


def main() -> None:
    raw = _raw_transactions()
    entity_df = create_entity_df(raw)
    console.print(f"Exercise 2: {len(entity_df):,} labelled transactions of {len(raw):,}")
    training_df = get_training_data(entity_df)
    if not validate_pit_correctness(training_df):
        raise SystemExit("the training data do not agree with the raw events")
    export_training_data(training_df, excluded_rows(raw))
    demonstrate_leakage()


if __name__ == "__main__":
    run_script(main)
