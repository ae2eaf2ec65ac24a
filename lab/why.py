"""`lab why`: where a feature's value comes from: events, snapshots, Redis, the serving API."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

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
EVENT, CREATED = "event time", "created time"
TO_THE_SECOND = "%Y-%m-%d %H:%M:%S"
SHOWN = 5  # events of a table, and snapshots on each side of the visible one
API_TIMEOUT_S = 5


def explain(entity: str, feature: str, moment: datetime) -> Iterator[str]:
    """Yield the lines that trace one value of one entity, at a moment.

    Raises UserError if no view has the feature, or its table lacks the entity.
    """
    store = open_store()
    view = _view_with(store, feature)
    (key,) = view.join_keys
    yield f"{feature} of {entity}, in {view.name}, at {moment.astimezone(UTC):{TO_THE_SECOND}} UTC"
    snapshots = _snapshots(view, entity)
    visible = _visible(snapshots, moment, view.ttl)
    yield f"snapshots in {_path_of(view)}: {len(snapshots):,}"
    yield from _snapshot_lines(snapshots, visible, feature, moment)
    if visible is None:
        yield f"  none is visible: each is later, had not arrived, or is older than {view.ttl}"
    else:
        yield from _event_lines(key, entity, feature, snapshots[EVENT][visible])
    stored_key = snapshots[key].tolist()[0]  # a number, where its column has numbers
    yield f"Redis, now:  {_online_value(store, view, stored_key, feature)}"
    yield f"the API, now: {_served_value(key, entity, feature)}"


def _view_with(store: "FeatureStore", feature: str) -> "FeatureView":
    views = store.list_feature_views()
    for view in views:
        if feature in (field.name for field in view.features):
            if len(view.join_keys) != 1:
                raise UserError(f"{view.name} has {len(view.join_keys)} join keys, and not one")
            return view
    names = sorted(field.name for view in views for field in view.features)
    raise UserError(f"no feature view has {feature}; there are {', '.join(names)}")


def _snapshots(view: "FeatureView", entity: str) -> pd.DataFrame:
    """Return the entity's rows of the view's table by EVENT and CREATED, equal if absent."""
    source, path, (key,) = view.batch_source, _path_of(view), view.join_keys
    names = dict(source.field_mapping)
    stored = next((theirs for theirs, ours in names.items() if ours == key), key)
    try:
        rows = pd.read_parquet(path, filters=pads.field(stored).cast("string") == entity)
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}", "lab run 1") from error
    if rows.empty:
        raise UserError(f"{path} has no row of {key} {entity}")
    created = source.created_timestamp_column or source.timestamp_field
    for ours, theirs in {EVENT: source.timestamp_field, CREATED: created}.items():
        rows[ours] = pd.to_datetime(rows[theirs], utc=True)
    return rows.sort_values([EVENT, CREATED]).reset_index(drop=True).rename(columns=names)


def _path_of(view: "FeatureView") -> str:
    """Return the path of the view's table; Feast resolves it against the feature repository."""
    path = str(view.batch_source.path)
    return path if "://" in path else str(settings.feature_repo / path)


def _visible(snapshots: pd.DataFrame, moment: datetime, ttl: timedelta | None) -> int | None:
    """Return the index of the newest row that had arrived and had not expired; None if none."""
    is_known = (snapshots[EVENT] <= moment) & (snapshots[CREATED] <= moment)
    if ttl:
        is_known &= snapshots[EVENT] >= moment - ttl
    return int(is_known[is_known].index[-1]) if is_known.any() else None


def _snapshot_lines(
    snapshots: pd.DataFrame, visible: int | None, feature: str, moment: datetime
) -> Iterator[str]:
    """Yield the snapshots around a moment, and why each but the visible one is not taken."""
    before = int((snapshots[EVENT] <= moment).sum()) - 1
    for index, row in snapshots.loc[max(0, before - SHOWN + 1) : before + 2].iterrows():
        remark = "   (not arrived yet)" if row[CREATED] > moment else ""
        if index == visible:
            remark = "   <- the value at that moment"
        elif row[EVENT] > moment:
            remark = "   (later)"
        times = f"{row[EVENT]:%Y-%m-%d %H:%M}, arrived {row[CREATED]:%m-%d %H:%M}"
        yield f"  {times}: {row[feature]}{remark}"


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
            yield f"  {row['event_timestamp']:{TO_THE_SECOND}}  {details}".rstrip()


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
    return f"{value}, as of {stamp.ToDatetime(UTC):{TO_THE_SECOND}}"


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
