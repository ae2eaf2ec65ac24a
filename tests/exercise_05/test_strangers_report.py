"""The line on a minute's rejected events."""

from collections import Counter

import pytest
from confluent_kafka import KafkaError, KafkaException

from exercise_05_streaming import topics
from exercise_05_streaming.production.refusals import PERIOD_S, Refusal, RefusalReport, summary


@pytest.mark.parametrize(
    ("refusals", "line"),
    [
        (
            {("too_far_ahead", 60): 31},
            "31 refused in a minute, all 60 min ahead: does the producer write local time?",
        ),
        (
            {("too_late", -300): 2},
            "2 refused in a minute, all 300 min late: does the producer write local time?",
        ),
        ({("too_late", -47): 2}, "2 refused in a minute: 2 too_late"),
        ({("too_late", -15): 2}, "2 refused in a minute: 2 too_late"),
        ({("too_late", -60): 1, ("too_late", -75): 2}, "3 refused in a minute: 3 too_late"),
        (
            {("not_json", 0): 2, ("too_far_ahead", 60): 3},
            "5 refused in a minute: 3 too_far_ahead, 2 not_json",
        ),
    ],
)
def test_a_common_difference_is_a_time_zone(refusals: dict[Refusal, int], line: str) -> None:
    assert summary(Counter(refusals)) == line


def test_an_unavailable_kafka_does_not_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job requests the line in its loop, twice a second."""
    requests = []

    def end_offsets(*_: object) -> None:
        requests.append(1)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr(topics, "end_offsets", end_offsets)
    minutes = iter(range(0, 10 * PERIOD_S, PERIOD_S))
    RefusalReport(lambda: next(minutes)).print_every_minute()
    assert requests == [1]
