"""Payments exactly at the moment of their users' and merchants' newest rows, a midnight.

A row's values are those of the events strictly before its moment. So a feature that counts an event
of the moment itself differs, and so does a join that leaves out the row of the moment.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.hidden.hidden_data import HiddenData
from checker.sandbox import untrusted
from checker.submission.placing import place_feature_tables
from checker.submission.submission import Submission

PAYMENTS = 12
EARLIER = {timedelta(days=10): 20.0, timedelta(hours=12): 40.0}  # the amounts of two before each
VALUES = {  # a day before, and at midnight
    "user_transaction_features": {
        "transaction_count_7d": (0, 1),
        "transaction_count_30d": (1, 2),
        "avg_transaction_amount": (20.0, 30.0),
        "total_amount_30d": (20.0, 60.0),
    },
    "merchant_risk_features": {"chargeback_rate": (0.0, 0.5), "total_transactions_30d": (1, 2)},
}


@dataclass(frozen=True)
class AtMidnight:
    """The payments as rows of an entity frame, and what they add to raw tables and views."""

    frame: pd.DataFrame
    raw: dict[str, pd.DataFrame]
    features: dict[str, pd.DataFrame]


def at_midnight(hidden: HiddenData) -> AtMidnight:
    """Return payments of new users at new merchants, the same at each call."""
    random = np.random.default_rng([hidden.seed, 21])
    frame = hidden.frame(PAYMENTS)
    ids = [f"_{number}" for number in random.integers(10**11, 10**12, len(frame))]
    names = {key: [f"{key.removesuffix('_id')}{end}" for end in ids] for key in frame.columns[:2]}
    frame = frame.assign(**names, **{EVENT_TIME: frame[EVENT_TIME].dt.floor("D")})
    features = {view: _two_rows(hidden, view, frame) for view in VALUES}
    return AtMidnight(frame, _raw_rows(hidden, frame), features)


def _two_rows(hidden: HiddenData, view: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the newest row of each new entity, which is of midnight, and that of a day before."""
    key, table = KNOWN_VIEWS[view].key, hidden.tables[view]
    columns = table.columns.drop([key, EVENT_TIME, CREATED])
    known = [name for name in columns if table[name].notna().any()]
    rows = []
    for which, age in enumerate((timedelta(days=1), timedelta())):
        at = frame[EVENT_TIME] - age
        values = {name: VALUES[view].get(name, (0, 0))[which] for name in known}
        rows.append(frame[[key]].assign(**{EVENT_TIME: at, CREATED: at}, **values))
    both = pd.concat(rows, ignore_index=True).reindex(columns=table.columns)
    return both.astype(table.dtypes.to_dict())


def _raw_rows(hidden: HiddenData, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return each payment and two before it, and a chargeback of each of these, one at midnight."""
    paid = frame.rename(columns={"transaction_amount": "amount", "is_fraud": "label"})
    paid["label_timestamp"] = paid[EVENT_TIME] + hidden.label_maturity
    before = [
        paid.assign(**{EVENT_TIME: paid[EVENT_TIME] - age}, amount=amount, label=None)
        for age, amount in EARLIER.items()
    ]
    payments = pd.concat([*before, paid], ignore_index=True)
    payments.loc[payments["label"].isna(), "label_timestamp"] = pd.NaT
    numbers = [f"txn_midnight_{number}" for number in payments.index]
    payments = payments.assign(transaction_id=numbers, product_id="product_0", is_approved=True)
    known = pd.concat([paid[EVENT_TIME] - timedelta(hours=12), paid[EVENT_TIME]])
    taken_back = payments.head(len(known)).assign(**{EVENT_TIME: known.to_list()})
    return {"transactions": payments, "chargebacks": taken_back}


def place_payments_at_midnight(submission: Submission) -> None:
    """Add them to the raw tables in data/, and to the tables of the views."""
    added = at_midnight(submission.hidden)
    for view, rows in added.features.items():
        submission.hidden.append(view, rows)
    place_feature_tables(submission)
    for table, rows in added.raw.items():
        file = submission.hidden.directory / f"{table}.parquet"
        if file.exists():
            schema = pq.read_schema(file)
            both = pd.concat([pd.read_parquet(file), rows[schema.names]]).sort_values(EVENT_TIME)
            place = submission.repo / "data" / file.name
            with untrusted.written(place, submission.root) as copy:
                both.to_parquet(copy, index=False, schema=schema)
