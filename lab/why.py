"""`lab why`: where a feature's value comes from: events, snapshots, Redis, the serving API."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.dataset as pads
import requests
from redis.exceptions import RedisError

from lab.errors import UserError
from lab.learn import open_store, settings

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

WINDOW = re.compile(r"_(\d+)([mhd])$")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
EVENTS_OF = {
    "user_id": ("transactions",),
    "merchant_id": ("transactions", "chargebacks", "refunds"),
    "product_id": ("transactions", "product_views"),
}
SHOWN = 5  # events of a table, and snapshots on each side of the visible one
API_TIMEOUT_S = 5


def explain(entity: str, feature: str, moment: datetime) -> Iterator[str]:
    """Yield the lines that trace one value of one entity, at a moment.

    Raises UserError if no view has the feature, or its table lacks the entity.
    """
    config = settings.feature_repo / "feature_store.yaml"
    if not config.exists():
        raise UserError(f"there is no {config}", "lab new FOLDER, which has it")
    store = open_store()
    view = _view_with(store, feature)
    shown = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield f"{feature} of {entity}, in {view.name}, at {shown}"
    snapshots = _snapshots(view, entity)
    visible = _visible(view, snapshots, moment)
    yield from _snapshot_lines(view, snapshots, visible, feature, moment)
    if visible is not None:
        end = snapshots[view.batch_source.timestamp_field][visible]
        yield from _event_lines(view.join_keys[0], entity, feature, end)
    stored_key = snapshots[view.join_keys[0]].tolist()[0]  # a number, where its column has numbers
    yield f"Redis, now:  {_online_value(store, view, stored_key, feature)}"
    yield f"the API, now: {_served_value(view.join_keys[0], entity, feature)}"


def _view_with(store: "FeatureStore", feature: str) -> "FeatureView":
    views = store.list_feature_views()
    for view in views:
        if feature in (field.name for field in view.features):
            return view
    names = sorted(field.name for view in views for field in view.features)
    raise UserError(f"no feature view has {feature}; there are {', '.join(names)}")


def _snapshots(view: "FeatureView", entity: str) -> pd.DataFrame:
    """Return the entity's rows of the view's table, in the order of event and created time."""
    source, path = view.batch_source, _path_of(view)
    if len(view.join_keys) != 1:
        raise UserError(f"{view.name} has {len(view.join_keys)} join keys, and not one")
    (key,) = view.join_keys
    names = dict(source.field_mapping)
    stored = next((theirs for theirs, ours in names.items() if ours == key), key)
    try:
        rows = pd.read_parquet(path, filters=pads.field(stored).cast("string") == entity)
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}", "lab run 1") from error
    if rows.empty:
        raise UserError(f"{path} has no row of {key} {entity}")
    times = [time for time in (source.timestamp_field, source.created_timestamp_column) if time]
    for time in times:
        rows[time] = pd.to_datetime(rows[time], utc=True)
    return rows.sort_values(times).reset_index(drop=True).rename(columns=names)


def _path_of(view: "FeatureView") -> str:
    """Return the path of the view's table; Feast resolves it against the feature repository."""
    path = str(view.batch_source.path)
    return path if "://" in path else str(settings.feature_repo / path)


def _visible(view: "FeatureView", snapshots: pd.DataFrame, moment: datetime) -> int | None:
    """Return the index of the newest row that had arrived and had not expired; None if none."""
    source = view.batch_source
    happened = snapshots[source.timestamp_field]
    arrived = snapshots[source.created_timestamp_column or source.timestamp_field]
    is_known = (happened <= moment) & (arrived <= moment)
    if view.ttl:
        is_known &= happened >= moment - view.ttl
    return int(is_known[is_known].index[-1]) if is_known.any() else None


def _snapshot_lines(
    view: "FeatureView",
    snapshots: pd.DataFrame,
    visible: int | None,
    feature: str,
    moment: datetime,
) -> Iterator[str]:
    source = view.batch_source
    happened, arrived = source.timestamp_field, source.created_timestamp_column
    yield f"snapshots in {_path_of(view)}: {len(snapshots):,}"
    before = int((snapshots[happened] <= moment).sum()) - 1
    near = snapshots.loc[max(0, before - SHOWN + 1) : before + 2]
    for index, row in near.iterrows():
        known = f", arrived {row[arrived]:%m-%d %H:%M}" if arrived else ""
        remark = _remark(row, happened, arrived, index == visible, moment)
        yield f"  {row[happened]:%Y-%m-%d %H:%M}{known}: {row[feature]}{remark}"
    if visible is None:
        yield f"  none is visible: each is later, had not arrived, or is older than {view.ttl}"


def _remark(
    row: "pd.Series[Any]", happened: str, arrived: str, is_visible: bool, moment: datetime
) -> str:
    if is_visible:
        return "   <- the value at that moment"
    if row[happened] > moment:
        return "   (later)"
    return "   (not arrived yet)" if arrived and row[arrived] > moment else ""


def _event_lines(key: str, entity: str, feature: str, end: datetime) -> Iterator[str]:
    """Yield the raw events before the snapshot, within the window that the feature's name has."""
    window = WINDOW.search(feature)
    span = timedelta(**{UNITS[window[2]]: int(window[1])}) if window else None
    within = f"in the {window[0].strip('_')} " if window else ""
    for table in EVENTS_OF.get(key, ()):
        file = settings.data_dir / f"{table}.parquet"
        if not file.exists():
            continue
        events = pd.read_parquet(file, filters=[(key, "==", entity)])
        times = events["event_timestamp"]
        counted = events[(times < end) & (times >= end - span if span else True)]
        yield f"{table} {within}before {end:%Y-%m-%d %H:%M}: {len(counted):,}"
        for _, row in counted.nlargest(SHOWN, "event_timestamp").iloc[::-1].iterrows():
            values = {name: row[name] for name in ("amount", "is_approved") if name in row}
            details = ", ".join(f"{name} {value}" for name, value in values.items())
            yield f"  {row['event_timestamp']:%Y-%m-%d %H:%M:%S}  {details}".rstrip()


def _online_value(store: "FeatureStore", view: "FeatureView", entity: object, feature: str) -> str:
    """Return the value with the event time that Redis stores, or why there is none."""
    (key,) = view.join_keys
    try:
        response = store.get_online_features([f"{view.name}:{feature}"], [{key: entity}])
    except RedisError as error:
        return f"no answer ({error}); next: lab up redis"
    value = response.to_dict()[feature][0]
    names = list(response.proto.metadata.feature_names.val)
    stamp = response.proto.results[names.index(feature)].event_timestamps[0]
    if not stamp.seconds:
        return "no row; next: lab run 3"
    return f"{value}, as of {stamp.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}"


def _served_value(key: str, entity: str, feature: str) -> str:
    """Return the value in the response to a payment of 1 dollar, or why there is none."""
    ids: dict[str, str | float] = {"user_id": "nobody", "merchant_id": "nowhere", key: entity}
    if len(ids) > 2:
        return "it takes users and merchants only"
    url = f"{settings.api_url}/predict"
    try:
        payment = {**ids, "transaction_amount": 1.0}
        response = requests.post(url, json=payment, timeout=API_TIMEOUT_S)
        answer = response.json() if response.ok else {}
    except requests.ConnectionError:
        return "it does not run; next: lab run 4"
    except requests.RequestException as error:  # no answer in time, or no JSON
        return f"{type(error).__name__} of {url}"
    if not response.ok:
        return f"HTTP {response.status_code} of {url}"
    features = answer.get("features") if isinstance(answer, dict) else None
    known = features if isinstance(features, dict) else {}
    return str(known[feature]) if feature in known else "not in its response"
