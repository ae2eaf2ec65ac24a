"""The payments that the checks of the API send, and those reserved for cache misses."""

import pandas as pd

from checker.hidden.hidden_data import HiddenData
from checker.serving.payments import (
    NEW,
    NEW_ENTITIES,
    PAIR,
    add_new_entities,
    hot_payments,
    payments,
    payments_of_unasked,
    skewed_payments,
)

RESERVED = 5


def test_no_request_names_a_reserved_user(hidden: HiddenData) -> None:
    mine = hidden.unchanged()
    add_new_entities(mine, RESERVED)
    first, second = payments_of_unasked(mine, 1, [2, RESERVED - 2])
    rows = pd.concat([first, second])
    assert (len(first), len(second)) == (2, RESERVED - 2)
    assert len(rows) == rows["user_id"].nunique() == rows["merchant_id"].nunique() == RESERVED
    assert rows["user_id"].str.startswith(NEW).all()
    others = [hot_payments(mine), skewed_payments(mine, 100, 2), payments(mine, 500, 3)]
    for sent in others:
        assert not sent[PAIR].isin(set(rows[PAIR].to_numpy().ravel())).any(axis=None)
    assert payments(mine, 500, 3)["user_id"].str.startswith(NEW).any()
    assert payments(mine, 500, 3, only=NEW)["user_id"].nunique() == NEW_ENTITIES


def test_cold_pairs_are_mixed_into_those_of_hot_ones(hidden: HiddenData) -> None:
    mine = hidden.unchanged()
    add_new_entities(mine, RESERVED)
    (cold,) = payments_of_unasked(mine, 1, [RESERVED])
    sent = skewed_payments(mine, 50, 2, cold)
    assert len(sent) == 50
    assert sent["user_id"].isin(cold["user_id"]).sum() == RESERVED
    assert sent["amount_vs_avg_ratio"].notna().all()
