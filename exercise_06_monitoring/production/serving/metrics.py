"""The serving API's own counts, from /metrics: what they say of the time since the last look."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, nan

import requests
from prometheus_client.parser import text_string_to_metric_families

from exercise_06_monitoring.production.check import Check, not_measured
from lab.settings import settings

LATENCY = "prediction_latency_seconds_bucket"
RESPONSES = "http_responses_total"
HITS, MISSES = "feature_cache_hits_total", "feature_cache_misses_total"

Counts = dict[str, float]


class ServiceUnreachableError(Exception):
    """The API does not answer, or not with metrics."""


def scrape() -> Counts:
    """What the API has counted since it was started; a name may carry one label, as name|value.

    Raises ServiceUnreachableError.
    """
    address = f"{settings.api_url}/metrics"
    key = settings.api_key
    try:
        answer = requests.get(
            address,
            headers={"X-API-Key": key.get_secret_value()} if key else {},
            timeout=settings.socket_timeout_s,
        )
        answer.raise_for_status()
        return dict(_counts(answer.text))
    except (requests.RequestException, ValueError) as error:
        raise ServiceUnreachableError(f"{address}: {type(error).__name__}") from None


def _counts(text: str) -> Iterator[tuple[str, float]]:
    totals: Counts = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = sample.labels.get("le") or sample.labels.get("status")
            name = f"{sample.name}|{label}" if label else sample.name
            if sample.name in (LATENCY, RESPONSES, HITS, MISSES):
                totals[name] = totals.get(name, 0) + sample.value
    yield from totals.items()


def since(before: Mapping[str, float], now: Counts) -> Counts:
    """What was counted between two looks; all of it when the API was started anew meanwhile."""
    if any(now.get(name, 0) < count for name, count in before.items()):
        return now
    return {name: count - before.get(name, 0) for name, count in now.items()}


@dataclass(frozen=True)
class Serving:
    """What the counts of a span of time say; latencies in milliseconds, NaN without a request."""

    requests: int
    latency_ms: dict[int, float]
    error_rate: float
    hit_rate: float

    @classmethod
    def of(cls, counts: Counts) -> "Serving":
        answers = {name: n for name, n in counts.items() if name.startswith(RESPONSES)}
        failed = sum(n for name, n in answers.items() if name.split("|")[1].startswith("5"))
        total, hits = sum(answers.values()), counts.get(HITS, 0)
        buckets = sorted(
            (float(name.split("|")[1]), n) for name, n in counts.items() if name.startswith(LATENCY)
        )
        return cls(
            int(total),
            {share: 1000 * quantile(buckets, share / 100) for share in (50, 95, 99)},
            _share(failed, total),
            _share(hits, hits + counts.get(MISSES, 0)),
        )

    def checks(self) -> list[Check]:
        """Judged only when there were enough requests to judge by."""
        if self.requests < settings.monitored_requests:
            return [not_measured("latency", f"{self.requests} requests since the last look")]
        p50, p95, p99 = (self.latency_ms[share] for share in (50, 95, 99))
        limit, errors = settings.monitored_p95_ms, settings.monitored_error_rate
        return [
            Check("", "requests", self.requests, True, "since the last look"),
            Check("", "latency_p50_ms", p50, True, f"half of them within {p50:.1f} ms"),
            Check("", "latency_p95_ms", p95, p95 <= limit, f"{p95:.1f} ms, at most {limit:g}"),
            Check("", "latency_p99_ms", p99, True, f"one in a hundred takes over {p99:.1f} ms"),
            Check(
                "",
                "error_rate",
                self.error_rate,
                self.error_rate <= errors,
                f"{self.error_rate:.2%} answered with a 5xx, at most {errors:.0%} may be",
            ),
            Check("", "hit_rate", self.hit_rate, True, f"{self.hit_rate:.0%} from the cache"),
        ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else nan


def quantile(buckets: list[tuple[float, float]], share: float) -> float:
    """Of a histogram with cumulative counts by upper bound, as Prometheus's histogram_quantile.

    Linear within a bucket; the last bound below infinity for what lies beyond; NaN without counts.
    """
    if not buckets or not buckets[-1][1]:
        return nan
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            is_open = bound == inf or count == below
            return low if is_open else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
