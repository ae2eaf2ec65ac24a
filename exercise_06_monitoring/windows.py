"""Read feature values from the offline store, as they were known at a moment.

*Since last month*, the snapshots of entities are compared. They repeat the same entities, so a test
over all rows finds drift where there is none: an entity has one row in a window. In the reference
it comes from one of four weeks, chosen by the entity's hash: every weekday has the same weight on
both sides, and the sample is the same in every run. *Since training*, payments are compared, one
row each: a frequent user has many payments and one snapshot.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import joblib
import pandas as pd
from feast.errors import FeatureServiceNotFoundException

from exercise_01_setup.feature_repo.missing_values import STREAMING_VIEW, quiet_values
from lab.learn import UserError, open_store, settings

Tables = list[tuple[Any, pd.DataFrame]]  # views with their rows

DAY, WEEK = timedelta(days=1), timedelta(days=7)
REFERENCE_WEEKS = 4
REFERENCE_START = timedelta(days=60)  # days -60 to -32: whole weeks within the brief's 60 to 30
BURN_IN = timedelta(days=30)  # the longest feature window is still filling before
# Of exercise 4
MODEL, METADATA, TRAINING = "fraud_detector.pkl", "fraud_detector.json", "training.parquet"
AMOUNT = "transaction_amount"
MAX_REQUESTS = 10_000  # Feast's join needs 1.4 GiB for them

# A row and its correction share an event time: the one that was created last counts.
KNOWN_ROWS = """
SELECT *, {key} AS entity, {timestamp}::TIMESTAMPTZ AS moment, {created}::TIMESTAMPTZ AS arrived
FROM read_parquet($file)
WHERE {timestamp} > $start AND {timestamp} <= $end AND {created} <= $now
"""
ALL_ROWS = f"""{KNOWN_ROWS}
QUALIFY row_number() OVER (PARTITION BY entity, moment ORDER BY arrived DESC) = 1
ORDER BY moment
"""
NEWEST_MOMENT = f"SELECT max(moment) AS moment FROM ({KNOWN_ROWS})"
# The hash is of one text: hashes of two columns, mixed, make all entities prefer the same times.
ONE_ROW_OF_AN_ENTITY = f"""{KNOWN_ROWS}
AND {{timestamp}} >= (SELECT min({{timestamp}}) FROM read_parquet($file)) + $burn_in
AND hash(concat('sample ', {{key}})) % $groups = 0
AND hash({{key}}) % $weeks = ceil((epoch({{timestamp}}) - epoch($start)) / 604800) - 1
QUALIFY row_number() OVER (
    PARTITION BY entity ORDER BY hash(concat(entity, ' ', epoch_us(moment))), arrived DESC
) = 1
ORDER BY entity
"""
REQUESTS = f"""SELECT user_id, merchant_id, event_timestamp, amount AS {AMOUNT}
FROM read_parquet($file)
WHERE event_timestamp > $start AND event_timestamp <= $now
ORDER BY hash(user_id) LIMIT $most
"""


def read_views() -> list[Any]:
    """Return every stored feature view of the registry, by name."""
    return sorted(open_store().list_feature_views(), key=lambda view: str(view.name))


def features_of(view: Any) -> list[str]:
    """Return the names of the view's features."""
    return [field.name for field in view.features]


def table_of(view: Any) -> Path:
    """Return the Parquet file of the view's offline rows."""
    file: Path = settings.feature_repo / view.batch_source.path
    if not file.exists():
        raise UserError(f"{view.name} has no table: {file} is missing", "lab data features")
    return file


def read_rows(view: Any, start: datetime, now: datetime) -> pd.DataFrame:
    """Return the rows after `start` that had happened and arrived at `now`, oldest first.

    The columns are entity, moment (event time), arrived (created time), and the features.
    """
    return _query(view, ALL_ROWS, start=start, end=now, now=now)


def drift_windows(view: Any, now: datetime, groups: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the reference (four weeks that began 60 days ago) and the last week, by entity.

    A source that stopped within the week has its week before its last row: in a half-empty week
    other weekdays count. A window is empty where the history is too short. Of many `groups` of
    entities, one is compared.
    """
    newest = _query(view, NEWEST_MOMENT, start=now - WEEK, end=now, now=now)["moment"][0]
    last = newest if now - newest > DAY else now
    windows = []
    for start, weeks in ((last - REFERENCE_START, REFERENCE_WEEKS), (last - WEEK, 1)):
        known = {"start": start, "end": start + weeks * WEEK, "now": now, "burn_in": BURN_IN}
        windows.append(_query(view, ONE_ROW_OF_AN_ENTITY, **known, weeks=weeks, groups=groups))
    return windows[0], windows[1]


def read_model() -> dict[str, Any]:
    """Return service, features and threshold of exercise 4's model; empty without a usable one."""
    try:
        model: dict[str, Any] = dict(json.loads((settings.model_dir / METADATA).read_text()))
    except (OSError, ValueError, TypeError):
        return {}
    return model if {"service", "features", "threshold"} <= model.keys() else {}


def read_training() -> pd.DataFrame:
    """Return the rows that the model learned from or was tested on.

    UserError where the model cannot be used: there is none, or a file is damaged.
    """
    model, folder = read_model(), settings.model_dir
    if not model:
        raise UserError(f"there is no model in {folder}", "lab run 4")
    try:
        joblib.load(folder / MODEL)
        training = pd.read_parquet(folder / TRAINING)
        unseen = training["user_id"][training["split"] != "train"]
        training[["event_timestamp", *model["features"]]]
    except Exception as error:  # a damaged file raises anything
        raise UserError(f"the model in {folder} cannot be used: {error!r}", "lab run 4") from error
    if not 0 < len(unseen) < len(training):
        raise UserError(f"the model in {folder} has no rows of training, or none of a test")
    return training


def read_requests(now: datetime, days: int = 7, most: int = MAX_REQUESTS) -> pd.DataFrame:
    """Return the payments of the last days with the features that their requests got.

    Of more than `most` payments, those of a sample of users. UserError where the feature service
    has lost an input of the model.
    """
    file, store, model = settings.data_dir / "transactions.parquet", open_store(), read_model()
    requests = _read(file, REQUESTS, start=now - days * DAY, now=now, most=most)
    try:
        service = store.get_feature_service(model["service"])
    except FeatureServiceNotFoundException as error:
        raise UserError(f"the model's inputs are gone: {error}", "lab run 4") from error
    job = store.get_historical_features(requests, service, filter_by_created_timestamp=True)
    views = {view.name: view.features for view in service.feature_view_projections}
    rows = job.to_df().fillna(quiet_values(f.name for f in views.get(STREAMING_VIEW, ())))
    if lost := ", ".join(sorted({*model["features"]} - {*rows})):
        raise UserError(f"the service {service.name} lacks the model's input {lost}", "lab run 4")
    return rows


def _query(view: Any, query: str, **values: object) -> pd.DataFrame:
    """Run a query over the view's table; a column that the file lacks is null."""
    source = view.batch_source
    created = source.created_timestamp_column or source.timestamp_field
    names = {"key": view.join_keys[0], "timestamp": source.timestamp_field, "created": created}
    text = query.format(**{role: f'"{name}"' for role, name in names.items()})
    rows = _read(table_of(view), text, **values)
    return rows.reindex(columns=["entity", "moment", "arrived", *features_of(view)])


def _read(file: Path, query: str, **values: object) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")  # of times without a zone
        try:
            return connection.execute(query, {"file": str(file)} | values).df()
        except duckdb.Error as error:
            problem = str(error).splitlines()[0]
            raise UserError(f"{file} cannot be read: {problem}", "lab data features") from error
