"""Report refused events: once a minute while the job runs, and after a demonstration."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import KafkaException, Message

from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import TopicReader
from lab.settings import settings

PERIOD_S = 60
ZONE_MIN = 15  # a time zone is a multiple of it from UTC, and at least two
Refusal = tuple[str, int]  # the reason, and the minutes that the event is ahead of Kafka's time


def summary(refusals: Counter[Refusal]) -> str:
    """Return a line on the refused events of a minute."""
    line = f"{refusals.total()} refused in a minute"
    ahead, *others = {minutes for _, minutes in refusals}
    if others or abs(ahead) < 2 * ZONE_MIN or ahead % ZONE_MIN:
        return f"{line}: {_reasons(refusals)}"
    direction = "ahead" if ahead > 0 else "late"
    return f"{line}, all {abs(ahead)} min {direction}: does the producer write local time?"


def dead_letters() -> str:
    """Return the number of dead letters for each reason."""
    records = TopicReader(settings.dead_letter_topic).to_the_end()
    newest = {record.key(): _refusal(record) for record in records}
    return f"Dead letters: {_reasons(Counter(newest.values())) or 'none'}"


class RefusalReport:
    """The dead letters that are written from now on, a line a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = TopicReader(settings.dead_letter_topic)
        self._clock, self._start_ms = clock, clock_ms()
        self._next = clock() + PERIOD_S
        self._refused: Counter[Refusal] = Counter()

    def print_every_minute(self) -> None:
        """Print a line when a minute has passed and events were refused.

        While Kafka is unavailable, which the writer prints, the job goes on.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + PERIOD_S
        with suppress(KafkaException):
            new = (r for r in self._topic.to_the_end() if r.timestamp()[1] >= self._start_ms)
            self._refused.update(map(_refusal, new))
            if self._refused:
                print(summary(self._refused), flush=True)
            self._refused.clear()


def _refusal(record: Message) -> Refusal:
    letter = json.loads(record.value() or b"")
    return letter["reason"], round((letter["ahead_ms"] or 0) / 60_000)


def _reasons(refusals: Counter[Refusal]) -> str:
    counts: Counter[str] = Counter()
    for (reason, _), count in refusals.items():
        counts[reason] += count
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
