"""What Redis holds of each feature view: keys, bytes, ages, TTLs."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd
import redis
from feast import FeatureStore
from rich.table import Table

from feast_plugins.redis_encoding import decode_time, feature_field, time_field

KEYS_PER_SCAN = 1_000
NOTHING = "–"
DAY = timedelta(days=1)


@dataclass
class ViewUsage:
    """Sums over the hashes that hold a row of the view."""

    keys: int = 0
    bytes: int = 0
    times: list[datetime] = field(default_factory=list)
    ttls: list[int] = field(default_factory=list)


def measure_online_store(store: FeatureStore, client: redis.Redis, now: datetime) -> pd.DataFrame:
    """One row per view: keys, bytes of its fields and values, ages and TTLs.

    A hash's own overhead belongs to no view and is not counted; neither are keys of other projects.
    """
    views = [view for view in store.list_feature_views() if view.online]
    view_of = {
        feature_field(view.name, feature.name): view.name
        for view in views
        for feature in view.features
    }
    view_of |= {time_field(view.name): view.name for view in views}
    usage: defaultdict[str, ViewUsage] = defaultdict(ViewUsage)
    for fields, ttl in _hashes(client, store.project):
        for name in {view_of[f] for f in fields if f in view_of}:
            stored_time = decode_time(fields.get(time_field(name)))
            usage[name].keys += 1
            usage[name].ttls += [ttl] if ttl >= 0 else []
            usage[name].times += [stored_time] if stored_time else []
        for key, value in fields.items():
            if key in view_of:
                usage[view_of[key]].bytes += len(key) + len(value)
    rows = {view.name: _row(usage[view.name], now) for view in views}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object)


def online_table(report: pd.DataFrame) -> Table:
    """The report for the terminal, 80 columns wide."""
    table = Table(
        title="Redis by feature view",
        caption="keys and TTLs are an entity's: its views share them",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("view", no_wrap=True)
    for heading in ("keys", "KiB", "newest", "oldest", "TTL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for view in report.itertuples():
        shortest, longest = _span(view.shortest_ttl), _span(view.longest_ttl)
        table.add_row(
            view.Index,
            f"{view.keys:,}",
            f"{view.bytes / 1024:,.0f}",
            _span(view.newest_age),
            _span(view.oldest_age),
            shortest if shortest == longest else f"{shortest} to {longest}",
        )
    return table


def _span(span: timedelta | None) -> str:
    """A span in minutes, hours or days, rounded down."""
    if span is None:
        return NOTHING
    minutes = span // timedelta(minutes=1)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if span < 2 * DAY else f"{span // DAY} d"


def _hashes(client: redis.Redis, project: str) -> Iterator[tuple[dict[bytes, bytes], int]]:
    """Every entity's hash of the project, with its key's TTL in seconds (-1: none)."""
    keys = [
        key
        for key in client.scan_iter(match=f"*{project}", count=KEYS_PER_SCAN, _type="hash")
        if not key.startswith(b"materialized_until:")
    ]
    for start in range(0, len(keys), KEYS_PER_SCAN):
        pipe = client.pipeline(transaction=False)
        for key in keys[start : start + KEYS_PER_SCAN]:
            pipe.hgetall(key)
            pipe.ttl(key)
        replies = pipe.execute()
        yield from zip(replies[::2], replies[1::2], strict=True)


def _row(usage: ViewUsage, now: datetime) -> dict[str, object]:
    ages = [now - moment for moment in usage.times]
    ttls = [timedelta(seconds=ttl) for ttl in usage.ttls]
    return {
        "keys": usage.keys,
        "bytes": usage.bytes,
        "newest_age": min(ages, default=None),
        "oldest_age": max(ages, default=None),
        "shortest_ttl": min(ttls, default=None),
        "longest_ttl": max(ttls, default=None),
    }
