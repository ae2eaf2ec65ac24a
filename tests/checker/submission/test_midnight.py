"""Planted payments at midnight have the values of the events strictly before it."""

from datetime import timedelta

import pytest

from checker.hidden.catalogue import EVENT_TIME
from checker.hidden.hidden_data import HiddenData
from checker.submission.midnight import at_midnight

WEEK = timedelta(days=7)


def test_values_of_users_are_those_of_the_payments_before(hidden: HiddenData) -> None:
    added = at_midnight(hidden)
    payments = added.raw["transactions"]
    for row in added.features["user_transaction_features"].to_dict("records"):
        of_user = payments[payments["user_id"] == row["user_id"]]
        past = of_user[of_user[EVENT_TIME] < row[EVENT_TIME]]
        assert row["transaction_count_7d"] == (past[EVENT_TIME] >= row[EVENT_TIME] - WEEK).sum()
        assert row["transaction_count_30d"] == len(past)
        assert row["avg_transaction_amount"] == past["amount"].mean()
        assert row["total_amount_30d"] == past["amount"].sum()


def test_values_of_merchants_are_those_of_the_events_before(hidden: HiddenData) -> None:
    added = at_midnight(hidden)
    rows = added.features["merchant_risk_features"].to_dict("records")
    for row in rows:
        paid, taken_back = (
            len(table[(table["merchant_id"] == row["merchant_id"]) & is_past])
            for table in added.raw.values()
            for is_past in [table[EVENT_TIME] < row[EVENT_TIME]]
        )
        assert row["total_transactions_30d"] == paid
        assert row["chargeback_rate"] == taken_back / paid


@pytest.mark.parametrize("table", ["transactions", "chargebacks"])
def test_an_event_lies_at_the_moment_of_each_payment(hidden: HiddenData, table: str) -> None:
    added = at_midnight(hidden)
    keys = ["merchant_id", EVENT_TIME]
    assert len(added.frame.merge(added.raw[table], on=keys)) == len(added.frame)
    assert len(added.frame.merge(added.features["merchant_risk_features"], on=keys)) == 12
