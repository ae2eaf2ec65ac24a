"""The expected answers themselves, for tables that could give wrong ones."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.hidden.hidden_data import (
    CASES,
    PLANTED,
    QUIET_ENTITIES,
    QUIET_SINCE,
    HiddenData,
    plant,
)
from checker.hidden.hidden_source import make_hidden_data
from checker.settings import CheckerSettings

VIEW = "product_popularity_features"
SECOND = timedelta(seconds=1)


def test_a_null_of_the_newest_row_is_its_value(hidden: HiddenData) -> None:
    data = hidden.unchanged()
    later = data.tables[VIEW].dropna(subset=["purchase_rate"]).tail(1)
    later = later.assign(**{EVENT_TIME: data.as_of + SECOND, CREATED: data.as_of + SECOND})
    data.append(VIEW, later.assign(purchase_rate=None).astype(later.dtypes.to_dict()))
    (product,) = later["product_id"]
    assert pd.isna(data.newest(VIEW).loc[product, "purchase_rate"])
    others, before = (each.newest(VIEW).drop(index=product) for each in (data, hidden))
    assert_frame_equal(others, before)


@pytest.mark.parametrize("view", ["user_transaction_features", "merchant_risk_features"])
def test_planted_entities_differ_by_their_rows_only(hidden: HiddenData, view: str) -> None:
    mine, key = hidden.unchanged(), KNOWN_VIEWS[view].key
    rows = plant(mine, view, timedelta(days=90))
    assert Counter(rows["case"]) == dict.fromkeys(CASES, PLANTED)
    assert rows[key].is_unique
    assert not rows.duplicated(["user_id", EVENT_TIME]).any()
    assert rows[key].str.fullmatch(rf"{key.removesuffix('_id')}_\d{{12}}").all()
    added = mine.tables[view][len(hidden.tables[view]) :]
    assert set(added[key]) == set(rows[key])
    assert added.filter(like="_rate").lt(1).all(axis=None)
    assert_frame_equal(plant(hidden.unchanged(), view, timedelta(days=90)), rows)


@pytest.mark.parametrize("seed", [8, 36])
def test_no_quiet_entity_has_a_row_of_the_last_days(
    config: CheckerSettings, tmp_path: Path, seed: int
) -> None:
    """With these seeds one of the first users appeared in the last days and had no earlier row."""
    as_of = datetime(2026, 11, 29, 19, 21, tzinfo=UTC)
    data = make_hidden_data(tmp_path, seed, as_of, config)
    for view in KNOWN_VIEWS:
        quiet = data.newest(view).loc[data.quiet(view), EVENT_TIME]
        assert len(quiet) == QUIET_ENTITIES
        assert (quiet <= as_of - QUIET_SINCE).all()
