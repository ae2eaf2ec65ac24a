"""The expected answers themselves, for tables that could give wrong ones."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.hidden.hidden_data import (
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


def test_planted_users_are_told_apart_by_their_rows_only(hidden: HiddenData) -> None:
    rows, case_of = plant(hidden.unchanged(), timedelta(days=90))
    assert list(rows["user_id"]) == list(case_of)
    assert Counter(case_of.values()) == dict.fromkeys(set(case_of.values()), PLANTED)
    assert rows["user_id"].str.fullmatch(r"user_\d{12}").all()
    assert plant(hidden.unchanged(), timedelta(days=90))[1] == case_of, "a verdict is replayed"


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
