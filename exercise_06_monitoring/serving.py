"""Check the API's latency, errors and hit rate, the values in Redis, and the flagged users."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from math import isnan, nan
from typing import Any

import joblib
import pandas as pd
import requests
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis, RedisError
from scipy import stats

import exercise_01_setup.feature_repo.missing_values as streaming
from exercise_06_monitoring.alerts import Check, monitoring_folder, replace_file
from exercise_06_monitoring.windows import DAY, MODEL, Tables, features_of, read_model
from lab.learn import open_store, settings

MIN_REQUESTS = 100
P95_LIMIT_MS, ERROR_RATE_LIMIT, HIT_RATE_MIN = 15.0, 0.01, 0.70
SAMPLE = 100  # rows of a view
MAX_ONLINE_AGE_H = 3
FLAGGED_INTERVAL = 0.999
LATENCY, RESPONSES = "prediction_latency_seconds_bucket", "http_responses_total"
HITS, MISSES = "feature_cache_hits_total", "feature_cache_misses_total"


def check_api() -> Iterator[Check]:
    """Compare the requests since the last evaluation with the limits.

    Fewer than 100 wait for the next run: one failed request of three is no error rate.
    """
    file, counts = monitoring_folder() / "api_counts.json", read_counts()
    if counts is None:
        yield Check("serving", "api", None, "the API does not answer", "critical")
        return
    before = Counter[str](json.loads(file.read_text()) if file.exists() else {})
    new = counts - before if counts >= before else counts  # a restart resets them
    served = sum(n for name, n in new.items() if name.startswith(RESPONSES))
    yield Check("serving", "api", True, f"{served} requests to evaluate", "critical")
    if served >= MIN_REQUESTS:
        replace_file(file, json.dumps(counts))
        yield from compare_with_limits(new, served)


def read_counts() -> Counter[str] | None:
    """Return the API's counts of predictions from /metrics; None where it does not answer."""
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


def compare_with_limits(counts: Counter[str], served: int) -> Iterator[Check]:
    """Yield the checks of latency, error rate and hit rate; unknown where all requests failed."""
    p50, p95, p99 = (latency_ms(counts, share) for share in (0.5, 0.95, 0.99))
    message = f"p50 {p50:g} ms, p95 {p95:g} ms (limit {P95_LIMIT_MS:g}), p99 {p99:g} ms"
    passed = None if isnan(p95) else p95 <= P95_LIMIT_MS
    yield Check("serving", "api.latency", passed, message)
    rate = sum(n for name, n in counts.items() if name.startswith(f"{RESPONSES} 5")) / served
    message = f"{rate:.1%} of the requests failed"
    yield Check("serving", "api.error_rate", rate <= ERROR_RATE_LIMIT, message)
    hits, misses = counts[f"{HITS} "], counts[f"{MISSES} "]
    rate = hits / (hits + misses) if hits + misses else nan
    message = f"{rate:.1%} of {hits + misses} reads were from the cache"
    passed = None if isnan(rate) else rate >= HIT_RATE_MIN
    yield Check("serving", "api.hit_rate", passed, message)


def latency_ms(counts: Counter[str], share: float) -> float:
    """Return the upper bound of the histogram's bucket that holds a quantile."""
    buckets = sorted((float(name.split()[1]), n) for name, n in counts.items() if LATENCY in name)
    return next((1000 * bound for bound, n in buckets if n >= share * buckets[-1][1]), nan)


def check_redis(tables: Tables, now: datetime) -> list[Check]:
    """Check the online values of every view; one failed check where Redis does not answer."""
    try:
        checks = [check_online(view, rows, now) for view, rows in tables]
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


def check_online(view: Any, rows: pd.DataFrame, now: datetime) -> Check:
    """Check the age of the view's values in Redis, of the entities with the newest offline rows.

    Feast's SDK returns the event time of each value, 0 without one.
    """
    (key,), feature = view.join_keys, features_of(view)[0]
    entities = rows["entity"].dropna().tail(SAMPLE).tolist() or ["none"]
    reply = open_store().get_online_features([f"{view.name}:{feature}"], {key: entities})
    newest = reply.to_df(include_event_timestamps=True)[f"{feature}__ts"].max()
    hours = (now.timestamp() - (newest or nan)) / 3_600
    passed = bool(hours <= MAX_ONLINE_AGE_H) if newest else None
    message = f"the newest values in Redis are {hours:.1f} h old; the limit is {MAX_ONLINE_AGE_H}"
    return Check("serving", f"{view.name}.age", passed, message, "critical")


def check_flagged_users(training: pd.DataFrame, served: pd.DataFrame, now: datetime) -> Check:
    """Compare the users with a payment at or above the operating threshold with their usual share.

    A day's number of flagged users is beta-binomial: the share in validation and test is itself
    uncertain. Payments of one user are correlated, so users are counted, not payments.
    """
    unseen = training[training["split"] != "train"]
    day = served[served["event_timestamp"] > now - DAY]
    if day.empty:
        return Check("prediction", "flagged_users", None, "no payment for a day", "critical")
    usual, today = flagged_users(unseen, now), flagged_users(day, now)
    flagged, user_days = int(usual.sum()), len(usual)
    of_share = flagged + 0.5, user_days - flagged + 0.5
    low, high = stats.betabinom.interval(FLAGGED_INTERVAL, len(today), *of_share)
    passed = bool(low <= today.sum() <= high)
    found = f"{today.sum()} of {len(today)} users have a payment at or above the model's threshold"
    message = f"{found}; {low:.0f} to {high:.0f} are usual"
    return Check("prediction", "flagged_users", passed, message, "critical")


def flagged_users(payments: pd.DataFrame, now: datetime) -> pd.Series:
    """Return for each 24 hours, back from now, and user whether a payment reached the threshold."""
    model, classifier = read_model(), joblib.load(settings.model_dir / MODEL)
    inputs = payments[model["features"]].astype("float32").to_numpy()
    is_flagged = pd.Series(classifier.predict_proba(inputs)[:, 1] >= model["threshold"])
    day = (now - payments["event_timestamp"]) // DAY
    return is_flagged.groupby([day.to_numpy(), payments["user_id"].to_numpy()]).max()
