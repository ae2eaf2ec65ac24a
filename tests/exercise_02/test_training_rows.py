"""The payments that exercise 2 trains on, and the reason for each one that it leaves out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from exercise_02_pit_training.generate_training_data import (
    LABEL,
    create_entity_df,
    excluded_rows,
)
from lab.settings import settings
from tests.settings_in_force import PointSettings

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def payments(tmp_path: Path, point_settings: PointSettings) -> pd.DataFrame:
    """Return a payment an hour over 60 days; every tenth is declined, and has no label."""
    point_settings(data_dir=tmp_path, as_of=AS_OF)
    rows = pd.DataFrame(
        {"event_timestamp": pd.date_range(AS_OF - timedelta(days=60), AS_OF, freq="h")}
    )
    rows["user_id"], rows["merchant_id"], rows["amount"] = "user_0", "merchant_0", 5.0
    rows["is_approved"] = rows.index % 10 != 0
    mature = rows["event_timestamp"] < AS_OF - settings.label_maturity
    rows["label"] = pd.Series(0, index=rows.index).where(mature & rows["is_approved"])
    return rows


def test_declined_payments_have_no_label_and_are_not_trained_on(payments: pd.DataFrame) -> None:
    trained, excluded = create_entity_df(payments), excluded_rows(payments)
    assert trained[LABEL].notna().all()
    assert len(trained) + len(excluded) == len(payments)
    time = payments["event_timestamp"]
    usable = (time >= time.min() + settings.warm_up) & (time < AS_OF - settings.label_maturity)
    reasons = excluded["reason"].value_counts()
    assert reasons["no label"] == (usable & ~payments["is_approved"]).sum() > 0
    assert set(reasons.index) == {"features still filling", "label not mature", "no label"}
