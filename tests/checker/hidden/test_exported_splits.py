"""Exported splits of many kinds, right and wrong, compared with the table they were made from."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from checker.hidden.exported_splits import split_problems

FEATURES = ["transaction_count_7d", "avg_transaction_amount", "chargeback_rate"]
ROWS = 2_000
RANDOM = np.random.default_rng(5)
TABLE = pd.DataFrame(
    {
        "user_id": [f"user_{n}" for n in RANDOM.integers(0, 300, ROWS)],
        "merchant_id": [f"merchant_{n}" for n in RANDOM.integers(0, 60, ROWS)],
        "event_timestamp": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC"),
        "transaction_amount": RANDOM.permutation(5 + np.arange(ROWS) / 4),
        "transaction_count_7d": RANDOM.poisson(4, ROWS),
        "avg_transaction_amount": RANDOM.gamma(2, 40, ROWS),
        "chargeback_rate": RANDOM.binomial(40, 0.02, ROWS) / 40,
        "is_fraud": (RANDOM.random(ROWS) < 0.3).astype("int64"),
    }
)
NOT_INPUTS = ["user_id", "merchant_id", "event_timestamp", "is_fraud"]
Files = dict[str, pd.DataFrame]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def files_of(rows: pd.DataFrame, change: Change = lambda rows: rows) -> Files:
    """Return the six files of rows in order, with 70/15/15 percent of them."""
    bounds = [0, int(ROWS * 0.7), int(ROWS * 0.85), ROWS]
    parts = [rows[start:end] for start, end in pairwise(bounds)]
    named = dict(zip(("train", "val", "test"), parts, strict=True))
    return {
        **{
            f"X_{n}": change(part).drop(columns=NOT_INPUTS, errors="ignore")
            for n, part in named.items()
        },
        **{f"y_{n}": part[["is_fraud"]] for n, part in named.items()},
    }


def problems(files: Files) -> list[str]:
    return [problem for problem in split_problems(TABLE, files, FEATURES) if problem]


def by_user(seed: int) -> Files:
    """Return a split of users, as GroupShuffleSplit makes it."""
    users = np.random.default_rng(seed).permutation(TABLE["user_id"].unique())
    of_user = dict(
        zip(users, np.searchsorted([0.7, 0.85], np.linspace(0, 1, len(users))), strict=True)
    )
    number = TABLE["user_id"].map(of_user)
    return {
        f"{part}_{name}": TABLE[number == n][columns]
        for n, name in enumerate(("train", "val", "test"))
        for part, columns in (("X", ["transaction_amount", *FEATURES]), ("y", ["is_fraud"]))
    }


def scaled(rows: pd.DataFrame) -> pd.DataFrame:
    scaled = {name: (rows[name] - 7) / 31 for name in FEATURES}
    return rows.assign(**scaled, hour=rows["event_timestamp"].dt.hour)


def binned(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(avg_transaction_amount=pd.qcut(rows["avg_transaction_amount"], 8).cat.codes)


RIGHT: dict[str, Files] = {
    "by time": files_of(TABLE),
    "at random": files_of(TABLE.sample(frac=1, random_state=1)),
    **{f"by user {seed}": by_user(seed) for seed in range(5)},
    "scaled": files_of(TABLE, scaled),
    "binned": files_of(TABLE, binned),
    "clipped": files_of(TABLE, lambda rows: rows.assign(**rows[FEATURES].clip(upper=60))),
    "in float32": files_of(TABLE, lambda rows: rows.astype(dict.fromkeys(FEATURES, "float32"))),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_splits_have_no_problem(name: str) -> None:
    assert problems(RIGHT[name]) == []


def with_column(values: Callable[[pd.DataFrame], object]) -> Files:
    return files_of(TABLE, lambda rows: rows.assign(extra=values(rows)))


def shuffled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{n: RANDOM.permutation(rows[n]) for n in FEATURES})


HOLDS_LABEL, HOLDS_TIME = "X holds the label, as extra", "X holds the time, as extra"
WRONG: dict[str, tuple[Files, str]] = {
    "label": (with_column(lambda rows: rows["is_fraud"]), HOLDS_LABEL),
    "label as bool": (with_column(lambda rows: rows["is_fraud"] == 1), HOLDS_LABEL),
    "label negated": (with_column(lambda rows: 1 - rows["is_fraud"]), HOLDS_LABEL),
    "label as text": (
        with_column(lambda rows: rows["is_fraud"].map({0: "ok", 1: "bad"})),
        HOLDS_LABEL,
    ),
    "label of one split": (
        {**files_of(TABLE), "X_val": with_column(lambda rows: rows["is_fraud"])["X_val"]},
        HOLDS_LABEL,
    ),
    "label with noise": (
        with_column(lambda rows: rows["is_fraud"] + RANDOM.normal(0, 1, len(rows))),
        HOLDS_LABEL,
    ),
    "label and user": (
        with_column(lambda rows: rows["user_id"] + rows["is_fraud"].astype(str)),
        HOLDS_LABEL,
    ),
    "amount lost": (
        with_column(lambda rows: rows["is_fraud"] * rows["transaction_amount"]),
        HOLDS_LABEL,
    ),
    "user": (with_column(lambda rows: rows["user_id"]), "X holds user_id, as extra"),
    "user as number": (
        with_column(lambda rows: rows["user_id"].str.removeprefix("user_").astype("int64")),
        "X holds user_id, as extra",
    ),
    "one merchant": (
        with_column(lambda rows: rows["merchant_id"] == "merchant_7"),
        "X holds merchant_id, as extra",
    ),
    "time": (with_column(lambda rows: rows["event_timestamp"]), HOLDS_TIME),
    "time as text": (with_column(lambda rows: rows["event_timestamp"].astype(str)), HOLDS_TIME),
    "age in days": (
        with_column(
            lambda rows: (pd.Timestamp("2026-06-01", tz="UTC") - rows["event_timestamp"]).dt.days
        ),
        HOLDS_TIME,
    ),
    "other rows": (files_of(TABLE, shuffled), "that its rows have not"),
    "the next row": (
        files_of(
            TABLE,
            lambda rows: rows.assign(
                chargeback_rate=rows["chargeback_rate"].shift(-1, fill_value=0)
            ),
        ),
        "X_train has chargeback_rate that its rows have not",
    ),
    "zeros": (
        files_of(TABLE, lambda rows: rows.assign(**dict.fromkeys(FEATURES, 0))),
        "that its rows have not",
    ),
    "no features": (
        files_of(TABLE, lambda rows: rows[["transaction_amount"]]),
        "X_train has no transaction_count_7d, avg_transaction_amount, chargeback_rate",
    ),
    "scaled amount": (
        files_of(
            TABLE, lambda rows: rows.assign(transaction_amount=rows["transaction_amount"] / 3_000)
        ),
        "transaction_amount is scaled or changed in 1400 rows of X_train",
    ),
    "older test": (files_of(TABLE[::-1]), "test is older than train"),
    "older validation": (
        files_of(pd.concat([TABLE[300:1_700], TABLE[:300], TABLE[1_700:]])),
        "val is older than train",
    ),
    "other shares": (
        {
            **files_of(TABLE),
            "X_test": files_of(TABLE)["X_test"][:150],
            "y_test": files_of(TABLE)["y_test"][:150],
        },
        "150 rows are in no file",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_problem_of_wrong_splits_is_named(name: str) -> None:
    files, problem = WRONG[name]
    assert any(problem in found for found in problems(files)), problems(files)
