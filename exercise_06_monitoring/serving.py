"""Check the serving side: the API's latency, errors and hit rate, and the values in Redis."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import requests
from prometheus_client.parser import text_string_to_metric_families
from redis import RedisError

from exercise_06_monitoring.alerts import monitoring_folder
from exercise_06_monitoring.quality import Check
from exercise_06_monitoring.windows import features_of
from lab.learn import open_store, settings

MIN_REQUESTS = 100
P95_LIMIT_MS, ERROR_RATE_LIMIT, HIT_RATE_MIN = 15.0, 0.01, 0.70
SAMPLE = 100  # entities of a view
MAX_ONLINE_AGE = timedelta(hours=3)
LATENCY, RESPONSE = "prediction_latency_seconds_bucket", "http_responses_total"
# Requests of /health and /metrics would hide errors.
RESPONSES = {(RESPONSE, route) for route in ("/predict", "/predict/batch")}
HITS, MISSES = "feature_cache_hits_total", "feature_cache_misses_total"

Counts = dict[str, float]


def read_counts() -> Counts | None:
    """Return the API's counters from /metrics, or None where the API does not answer."""
    try:
        response = requests.get(f"{settings.api_url}/metrics", timeout=2)
        response.raise_for_status()
    except requests.RequestException:
        return None
    counts: Counts = defaultdict(float)
    for family in text_string_to_metric_families(response.text):
        for name, labels, value, *_ in family.samples:
            if name in (LATENCY, HITS, MISSES) or (name, labels.get("route")) in RESPONSES:
                key = f"{name} {labels.get('le') or labels.get('status', '')}"
                counts[key] += value
    return dict(counts)


def check_api() -> list[Check]:
    """Compare the requests since the last run with the limits.

    An API that did not answer at the last run either is not measured; a restart resets counters.
    """
    file, now = monitoring_folder() / "api_counts.json", read_counts()
    before: Counts | None = json.loads(file.read_text()) if file.exists() else None
    file.write_text(json.dumps(now))
    if now is None:
        passed = None if before is None else False
        return [Check("", "answers", 0, passed, "the API does not answer")]
    if before is None or any(now.get(name, 0) < count for name, count in before.items()):
        before = {}
    since = defaultdict(float, {name: n - before.get(name, 0) for name, n in now.items()})
    failed = sum(n for name, n in since.items() if name.startswith(f"{RESPONSE} 5"))
    served = sum(n for name, n in since.items() if name.startswith(RESPONSE))
    hits, reads = since[f"{HITS} "], since[f"{HITS} "] + since[f"{MISSES} "]
    p50, p95, p99 = latency_ms(since, 0.5), latency_ms(since, 0.95), latency_ms(since, 0.99)
    latency = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms (limit {P95_LIMIT_MS:g}), p99 {p99:.1f} ms"
    measured = [
        ("latency_p95_ms", p95, p95 <= P95_LIMIT_MS, latency),
        ("error_rate", failed / max(served, 1), failed <= ERROR_RATE_LIMIT * served, "of requests"),
        ("hit_rate", hits / max(reads, 1), hits >= HIT_RATE_MIN * reads, "of reads from the cache"),
    ]
    checks = [Check("", "answers", 1, True, f"{served:.0f} requests since the last run")]
    for name, value, passed, message in measured:
        is_known = passed if served >= MIN_REQUESTS else None
        checks.append(Check("", name, value, is_known, f"{value:.3g}: {message}"))
    return checks


def latency_ms(counts: Counts, share: float) -> float:
    """Interpolate a quantile in a cumulative histogram, as Prometheus's histogram_quantile."""
    buckets = sorted((float(name.split()[1]), n) for name, n in counts.items() if LATENCY in name)
    if not buckets:
        return nan
    bounds, filled = np.array(buckets).T
    bounds[-1] = bounds[-2]  # in place of infinity
    return float(1000 * np.interp(share * filled[-1], [0, *filled], [0, *bounds]))


def check_redis(tables: list[tuple[Any, pd.DataFrame]], now: datetime) -> dict[str, list[Check]]:
    """Check the online values of every view; one failed check where Redis does not answer."""
    try:
        checks = {view.name: check_online(view, rows, now) for view, rows in tables}
    except RedisError as error:
        message = f"Redis is unavailable: {type(error).__name__}"
        return {"redis": [Check("", "answers", 0, False, message)]}
    return checks | {"redis": [Check("", "answers", 1, True, "Redis answers")]}


def check_online(view: Any, rows: pd.DataFrame, now: datetime) -> list[Check]:
    """Compare a sample of Redis with the offline rows of the same event time, and check its age.

    Feast's SDK returns the event time of each online value, so no materialization time is needed.
    """
    features, keyed = features_of(view), rows.dropna(subset="entity")
    newest = keyed.drop_duplicates("entity", keep="last").tail(SAMPLE)
    entities = {view.join_keys[0]: newest["entity"].tolist() or ["none"]}
    store, references = open_store(), [f"{view.name}:{feature}" for feature in features]
    values = store.get_online_features(references, entities).to_dict(include_event_timestamps=True)
    online = pd.DataFrame({feature: values[feature] for feature in features})
    online["entity"] = values[view.join_keys[0]]
    online["moment"] = pd.to_datetime(values[f"{features[0]}__ts"], unit="s", utc=True)
    online = online[online["moment"] > pd.Timestamp(0, tz="UTC")]
    if online.empty:
        return [Check("", "age", nan, None, f"{view.name} has no values in Redis")]
    age = now - online["moment"].max()
    message = f"the newest values in Redis are {age} old; the limit is {MAX_ONLINE_AGE}"
    checks = [Check("", "age", age.total_seconds(), age <= MAX_ONLINE_AGE, message)]
    both = online.merge(rows, on=["entity", "moment"], suffixes=("", "_offline"))
    if len(both):
        stored, expected = both[features], both[[f"{feature}_offline" for feature in features]]
        equal = (stored == expected.values) | (stored.isna() & expected.isna().values)
        wrong = int((~equal.all(axis=1)).sum())
        message = f"{wrong} of {len(both)} sampled entities differ from the offline store"
        checks.append(Check("", "online_offline", wrong, wrong == 0, message))
    return checks
