"""The rows of the windows, and the report over them."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from exercise_06_monitoring.feature_monitoring import generate_drift_report, monitor_feature_drift
from exercise_06_monitoring.windows import drift_windows
from lab.dataset.simulate import simulate
from lab.errors import UserError
from tests.exercise_06.monitored_shop import views_in
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

DAY = pd.Timedelta(days=1)


@pytest.fixture
def users(copy: Path) -> SimpleNamespace:
    """Return the user view over a copy of its table, to be changed."""
    return views_in(copy)[0]


def rows_of(view: SimpleNamespace) -> pd.DataFrame:
    return pd.read_parquet(view.batch_source.path)


def test_an_entity_has_one_row_in_each_window_as_it_was_then(users: SimpleNamespace) -> None:
    table = rows_of(users).rename(columns={"user_id": "entity", "event_timestamp": "moment"})
    weekdays = []
    for rows, (first, last) in zip(drift_windows(users, AS_OF), [(32, 60), (0, 7)], strict=True):
        assert rows["entity"].is_unique
        assert rows["moment"].between(AS_OF - last * DAY, AS_OF - first * DAY).all()
        columns = ["entity", "moment", "transaction_count_30d", "total_amount_30d"]
        assert len(rows.merge(table[columns], on=columns)) == len(rows)
        weekdays.append((rows["moment"].dt.weekday).value_counts(normalize=True))
    assert (weekdays[0] - weekdays[1]).abs().max() < 0.05


def test_every_entity_of_the_last_week_is_in_its_window(users: SimpleNamespace) -> None:
    table = rows_of(users)
    known = table["created_timestamp"] <= AS_OF
    week = table[known & (table["event_timestamp"] > AS_OF - 7 * DAY)]
    assert set(drift_windows(users, AS_OF)[1]["entity"]) == set(week["user_id"])


def test_what_had_not_arrived_is_not_seen(users: SimpleNamespace) -> None:
    table = rows_of(users)
    late = table["event_timestamp"] > AS_OF - 7 * DAY
    table.loc[late, "created_timestamp"] = AS_OF + timedelta(seconds=1)
    table.to_parquet(users.batch_source.path)
    assert drift_windows(users, AS_OF)[1].empty


def test_a_corrected_value_counts_in_place_of_the_first(users: SimpleNamespace) -> None:
    table = rows_of(users)
    later = table["created_timestamp"] + pd.Timedelta(seconds=1)
    corrected = table.assign(total_amount_30d=-1.0, created_timestamp=later)
    for order in ([table, corrected], [corrected, table]):
        pd.concat(order).to_parquet(users.batch_source.path)
        reference, _ = drift_windows(users, AS_OF)
        assert (reference["total_amount_30d"] == -1).all()


def test_times_without_a_zone_are_utc(users: SimpleNamespace) -> None:
    aware, table = drift_windows(users, AS_OF), rows_of(users)
    for column in ("event_timestamp", "created_timestamp"):
        table[column] = table[column].dt.tz_localize(None)
    table.to_parquet(users.batch_source.path)
    for before, now in zip(aware, drift_windows(users, AS_OF), strict=True):
        assert set(before["entity"]) == set(now["entity"])


def test_a_table_that_cannot_be_read_is_one_sentence(users: SimpleNamespace) -> None:
    table, file = rows_of(users), Path(users.batch_source.path)
    damaged = [
        table.drop(columns="created_timestamp"),
        table.assign(event_timestamp=table["event_timestamp"].astype(str)),
    ]
    for rows in damaged:
        rows.to_parquet(file)
        with pytest.raises(UserError, match=r"user_stats.parquet cannot be read: Binder Error.*"):
            drift_windows(users, AS_OF)
    file.write_bytes(file.read_bytes()[:5_000])
    with pytest.raises(UserError, match=r"cannot be read: .*\n  next: lab data features"):
        drift_windows(users, AS_OF)


def test_the_reference_begins_after_the_longest_window_has_filled(tmp_path: Path) -> None:
    history = timedelta(days=30 + 50)
    simulate(tmp_path, transactions=3_000, seed=7, as_of=AS_OF, history=history)
    view = views_in(tmp_path)[0]
    reference, _ = drift_windows(view, AS_OF)
    assert len(reference)
    assert reference["moment"].min() >= rows_of(view)["event_timestamp"].min() + 30 * DAY


def test_named_features_come_back_in_their_order(shop: Path, point_settings: PointSettings) -> None:
    point_settings(data_dir=shop, as_of=AS_OF)
    features = ["refund_rate", "transaction_count_7d", "last_product_id"]
    report = generate_drift_report(features)
    assert list(report["feature"]) == features
    pd.testing.assert_frame_equal(report, generate_drift_report(features))
    with pytest.raises(UserError, match="no feature view has refund_rat"):
        generate_drift_report(["refund_rat"])


def test_one_feature_that_drifted(
    shop: Path, point_settings: PointSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    point_settings(data_dir=shop, as_of=AS_OF)
    table = pd.read_parquet(shop / "user_stats.parquet")
    is_new = table["event_timestamp"] > AS_OF - 7 * DAY
    table.loc[is_new, "total_amount_30d"] *= 100
    table.to_parquet(shop / "user_stats.parquet")
    assert monitor_feature_drift("total_amount_30d")
    assert not monitor_feature_drift("transaction_count_7d")
    assert "PSI" in capsys.readouterr().out


def test_a_source_that_stopped_has_a_whole_week_before_its_last_row(users: SimpleNamespace) -> None:
    table = rows_of(users)
    stopped = AS_OF - 3 * DAY
    table[table["event_timestamp"] <= stopped].to_parquet(users.batch_source.path)
    reference, current = drift_windows(users, AS_OF)
    assert current["moment"].between(stopped - 7 * DAY, stopped).all()
    assert set(current["moment"].dt.weekday) == set(reference["moment"].dt.weekday) == {*range(7)}
