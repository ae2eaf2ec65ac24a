"""Check the API's latency, errors and hit rate, the values in Redis, and the flagged users."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import nan
from typing import Any

import joblib
import numpy as np
import pandas as pd
import requests
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis, RedisError
from scipy import stats

import exercise_01_setup.feature_repo.missing_values as streaming
from exercise_06_monitoring.alerts import Check, monitoring_folder
from exercise_06_monitoring.windows import DAY, MODEL, Tables, features_of, read_model
from lab.learn import open_store, settings

MIN_REQUESTS = 100
P95_LIMIT_MS, ERROR_RATE_LIMIT, HIT_RATE_MIN = 15.0, 0.01, 0.70
SAMPLE = 100  # entities of a view
MAX_ONLINE_AGE = timedelta(hours=3)
FLAGGED_INTERVAL = 0.999
LATENCY, RESPONSES = "prediction_latency_seconds_bucket", "http_responses_total"
HITS, MISSES = "feature_cache_hits_total", "feature_cache_misses_total"


def read_counts() -> Counter[str] | None:
    """Return the API's counters from /metrics, or None where the API does not answer."""
    try:
        response = requests.get(f"{settings.api_url}/metrics", timeout=2)
        response.raise_for_status()
    except requests.RequestException:
        return None
    counts = Counter[str]()
    for family in text_string_to_metric_families(response.text):
        for name, labels, value, *_ in family.samples:
            is_prediction = labels.get("route", "/predict").startswith("/predict")
            if name in (LATENCY, RESPONSES, HITS, MISSES) and is_prediction:
                counts[f"{name} {labels.get('le') or labels.get('status', '')}"] += int(value)
    return counts


def check_api() -> Iterator[Check]:
    """Compare the requests since the last measurement with the limits.

    Fewer than 100 wait for the next run: an idle night is no fault, and one failed request of three
    no error rate. An API that never answered is not measured; a restart resets counters.
    """
    file, counts = monitoring_folder() / "api_counts.json", read_counts()
    before = Counter[str](json.loads(file.read_text())) if file.exists() else None
    if counts is None:
        passed = None if before is None else False
        yield Check("serving", "api", passed, "the API does not answer", "critical")
        return
    is_same_process = before and all(counts[name] >= count for name, count in before.items())
    new = counts - before if before and is_same_process else counts
    served = sum(n for name, n in new.items() if name.startswith(RESPONSES))
    yield Check("serving", "api", True, f"{served} requests to evaluate", "critical")
    if before is None or served >= MIN_REQUESTS:
        file.write_text(json.dumps(counts))
    if served >= MIN_REQUESTS:
        for name, passed, message in compare_with_limits(new, served):
            yield Check("serving", f"api.{name}", passed, message)


def compare_with_limits(counts: Counter[str], served: int) -> Iterator[tuple[str, bool, str]]:
    """Yield the name, the result and the message of latency, error rate and hit rate."""
    p50, p95, p99 = (latency_ms(counts, share) for share in (0.5, 0.95, 0.99))
    message = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms (limit {P95_LIMIT_MS:g}), p99 {p99:.1f} ms"
    yield "latency", p95 <= P95_LIMIT_MS, message
    failed = sum(n for name, n in counts.items() if name.startswith(f"{RESPONSES} 5"))
    rate = failed / max(served, 1)
    yield "error_rate", rate <= ERROR_RATE_LIMIT, f"{rate:.1%} of the requests failed"
    hits, misses = counts[f"{HITS} "], counts[f"{MISSES} "]
    rate = hits / max(hits + misses, 1)
    yield "hit_rate", rate >= HIT_RATE_MIN, f"{rate:.1%} of the reads were from the cache"


def latency_ms(counts: Counter[str], share: float) -> float:
    """Interpolate a quantile in a cumulative histogram, as Prometheus's histogram_quantile."""
    buckets = sorted((float(name.split()[1]), n) for name, n in counts.items() if LATENCY in name)
    if not buckets:
        return nan
    bounds, filled = np.array(buckets).T
    bounds[-1] = bounds[-2]  # in place of infinity
    return float(1000 * np.interp(share * filled[-1], [0, *filled], [0, *bounds]))


def check_redis(tables: Tables, now: datetime) -> list[Check]:
    """Check the online values of every view; one failed check where Redis does not answer."""
    try:
        checks = [check for view, rows in tables for check in check_online(view, rows, now)]
        checks.append(check_streaming(now))
    except RedisError as error:
        message = f"Redis is unavailable: {type(error).__name__}"
        return [Check("serving", "redis", False, message, "critical")]
    return [Check("serving", "redis", True, "Redis answers", "critical"), *checks]


def check_streaming(now: datetime) -> Check:
    """Check the age of the streaming values, by the progress time that their writer publishes."""
    client = Redis(settings.host, settings.redis_port, socket_timeout=1)
    stored: Any = client.get(streaming.PROGRESS_KEY)
    age_s = nan if stored is None else now.timestamp() - int(stored) / 1_000
    # A run as of the data is earlier than its writer, and a writer's clock may be ahead: unknown.
    is_known = age_s >= -streaming.MAX_PROGRESS_AGE_S
    passed = age_s <= streaming.MAX_PROGRESS_AGE_S if is_known else None
    message = f"the values are {age_s:,.0f} s old; the limit is {streaming.MAX_PROGRESS_AGE_S}"
    return Check("serving", f"{streaming.STREAMING_VIEW}.progress", passed, message, "critical")


def check_online(view: Any, rows: pd.DataFrame, now: datetime) -> Iterator[Check]:
    """Compare a sample of Redis with the offline rows of the same event time, and check its age.

    Feast's SDK returns the event time of each online value, so no materialization time is needed.
    """
    (key,), features = view.join_keys, features_of(view)
    newest = rows.dropna(subset="entity").drop_duplicates("entity", keep="last").tail(SAMPLE)
    entities = {key: newest["entity"].tolist() or ["none"]}
    references = [f"{view.name}:{feature}" for feature in features]
    reply = open_store().get_online_features(references, entities)
    online = pd.DataFrame(reply.to_dict(include_event_timestamps=True))
    online["moment"] = pd.to_datetime(online[f"{features[0]}__ts"], unit="s", utc=True)
    online = online[online["moment"] > pd.Timestamp(0, tz="UTC")].rename(columns={key: "entity"})
    age = now - online["moment"].max()
    passed = None if online.empty else bool(age <= MAX_ONLINE_AGE)
    hours, most = age / timedelta(hours=1), MAX_ONLINE_AGE / timedelta(hours=1)
    message = f"the newest values in Redis are {hours:.1f} h old; the limit is {most:g} h"
    yield Check("serving", f"{view.name}.age", passed, message)
    both = online.merge(rows, on=["entity", "moment"], suffixes=("", "_offline"))
    stored, expected = both[features], both[[f"{feature}_offline" for feature in features]]
    is_equal = (stored == expected.values) | (stored.isna() & expected.isna().values)
    wrong = int((~is_equal.all(axis=1)).sum())
    message = f"{wrong} of {len(both)} sampled entities differ from the offline store"
    passed = None if both.empty else wrong == 0
    yield Check("serving", f"{view.name}.online_offline", passed, message, "critical")


def check_flagged_users(training: pd.DataFrame, served: pd.DataFrame, now: datetime) -> Check:
    """Compare the users with a payment above the operating threshold with their usual share.

    A day's number of flagged users is beta-binomial: the share in validation and test is itself
    uncertain. Payments of one user are correlated, so users are counted, not payments.
    """
    unseen = training[training["split"] != "train"]
    day = served[served["event_timestamp"] > now - DAY]
    if day.empty:
        return Check("prediction", "flagged_users", None, "no payment for a day", "critical")
    usual, today = flagged_users(unseen, now), flagged_users(day, now)
    flagged, users = int(usual.sum()), len(usual)
    of_share = flagged + 0.5, users - flagged + 0.5
    low, high = stats.betabinom.interval(FLAGGED_INTERVAL, len(today), *of_share)
    passed = bool(low <= today.sum() <= high)
    message = f"{today.sum()} of {len(today)} users have a payment above the threshold of the model"
    usually = f"{low:.0f} to {high:.0f} are usual"
    return Check("prediction", "flagged_users", passed, f"{message}; {usually}", "critical")


def flagged_users(payments: pd.DataFrame, now: datetime) -> pd.Series:
    """Return for each 24 hours, back from now, and user whether a payment reached the threshold."""
    model, classifier = read_model(), joblib.load(settings.model_dir / MODEL)
    inputs = payments[model["features"]].astype("float32").to_numpy()
    is_flagged = pd.Series(classifier.predict_proba(inputs)[:, 1] >= model["threshold"])
    day = (now - payments["event_timestamp"]) // DAY
    return is_flagged.groupby([day.to_numpy(), payments["user_id"].to_numpy()]).max()
