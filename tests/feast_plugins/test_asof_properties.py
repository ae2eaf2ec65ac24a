"""The as-of store, through Feast, against a join in plain Python, on awkward rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feast_plugins.asof_repo import (
    HOUR,
    MERCHANT,
    USER,
    Row,
    at,
    feature_view,
    open_store,
    source,
    write_rows,
)

TTLS = {"short": 2 * HOUR, "long": 6 * HOUR, "endless": timedelta(0)}
# Where a row was written, a time may have any unit and zone.
STORED_AS = [pa.timestamp(unit, zone) for unit in ("ms", "us", "ns") for zone in ("UTC", None)]
STORED_AS += [pa.timestamp("us", "America/New_York"), pa.timestamp("ns", "Asia/Kolkata")]
USERS, MERCHANTS = st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y"])
MOMENTS = st.integers(0, 12).map(at)
ROW = st.fixed_dictionaries(
    {
        "user_id": USERS,
        "merchant_id": MERCHANTS,
        "event_timestamp": MOMENTS,
        "created": st.none() | MOMENTS,
    }
)
ENTITIES = st.fixed_dictionaries(
    {"user_id": USERS, "payer": USERS, "merchant_id": MERCHANTS, "event_timestamp": MOMENTS}
)

ENTITY_TYPES = {
    "user_id": pa.string(),
    "payer": pa.string(),
    "merchant_id": pa.string(),
    "event_timestamp": pa.timestamp("us", "UTC"),
    "row": pa.int64(),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "rows.parquet"


@pytest.fixture(scope="module")
def store(file: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Return every kind of view on the file; joined three rows at a time, so that chunks meet."""
    views = [
        feature_view(
            f"{ttl}_{'dated' if created else 'undated'}", of, USER, MERCHANT, ttl=TTLS[ttl]
        )
        for ttl in TTLS
        for created in ("created", "")
        for of in [source(file, created, name=f"{ttl}{created}")]
    ]
    services = [
        FeatureService(
            name=view.name,
            features=[
                view.with_name("own"),
                view.with_name("paid").with_join_key_map({"user_id": "payer"}),
            ],
        )
        for view in views
    ]
    folder = tmp_path_factory.mktemp("repo")
    return open_store(folder, *views, *services, rows_per_chunk=3)


def newest_row(
    entity: Row, user: str, rows: list[Row], ttl: timedelta, created: str | None, known_only: bool
) -> Row | None:
    """Return the newest row that counts; created, then place, decides between equal times.

    `user` is the entity row's column for the user.
    """
    t = entity["event_timestamp"]

    def counts(row: Row) -> bool:
        keys = (row["user_id"], row["merchant_id"])
        is_same = keys[0] is not None and keys == (entity[user], entity["merchant_id"])
        age = t - row["event_timestamp"]
        is_in_time = timedelta(0) <= age and (not ttl or age <= ttl)
        is_known = not created or (row[created] is not None and row[created] <= t)
        return (
            row["user_id"] is not None and is_same and is_in_time and (is_known or not known_only)
        )

    def version(row: Row) -> tuple[Any, ...]:
        when = row[created] if created else None
        return row["event_timestamp"], when is not None, when or t, row["value"]

    return max(filter(counts, rows), key=version, default=None)


def as_frame(entities: list[Row], folder: Path, kind: str) -> Any:
    table = pa.Table.from_pylist(entities, schema=pa.schema(ENTITY_TYPES))
    if kind == "arrow":
        return table
    if kind == "sql":
        pq.write_table(table, folder / "entities.parquet")
        return f"SELECT * FROM read_parquet('{folder}/entities.parquet')"
    return table.to_pandas().set_index(pd.Index(range(7, 7 + len(entities))))


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(ROW, min_size=1, max_size=14),
    entities=st.lists(ENTITIES, min_size=1, max_size=8),
    ttl=st.sampled_from(list(TTLS)),
    created=st.sampled_from(["created", None]),
    known_only=st.booleans(),
    stored_as=st.sampled_from(STORED_AS),
    kind=st.sampled_from(["pandas", "arrow", "sql"]),
)
def test_the_store_answers_as_a_join_in_plain_python(
    store: FeatureStore,
    file: Path,
    rows: list[Row],
    entities: list[Row],
    ttl: str,
    created: str | None,
    known_only: bool,
    stored_as: pa.DataType,
    kind: str,
) -> None:
    """For two keys of which one is null at times, by its own name and by another."""
    rows = [{**row, "value": number} for number, row in enumerate(rows)]
    write_rows(file, rows, event_timestamp=stored_as, created=stored_as)
    name = f"{ttl}_{'dated' if created else 'undated'}"
    answer = store.get_historical_features(
        as_frame([{**entity, "row": n} for n, entity in enumerate(entities)], file.parent, kind),
        store.get_feature_service(name),
        full_feature_names=True,
        filter_by_created_timestamp=known_only,
    ).to_df()

    assert answer.index.equals(pd.RangeIndex(len(entities)))
    assert answer["row"].tolist() == list(range(len(entities)))
    for column, user in (("own__value", "user_id"), ("paid__value", "payer")):
        given = [None if pd.isna(value) else value for value in answer[column]]
        newest = [
            newest_row(entity, user, rows, TTLS[ttl], created, known_only) for entity in entities
        ]
        assert given == [row and row["value"] for row in newest]
