"""The count of wrong zeros, from the log's payments and what two readers read."""

import random

from exercise_05_streaming.production.stall import GRACE_MS, Payment, Reading, compare, count_in_log
from exercise_05_streaming.windows import TILE_S

TILE_MS = TILE_S * 1_000
START_MS = 1_700_000_100_000 // TILE_MS * TILE_MS
SEED, READINGS = 26, 200


def draw_payments(draw: random.Random) -> list[Payment]:
    """Some tiles have payments, others none; each is in the log within two seconds."""
    events = [
        START_MS + draw.randrange(4) * 2 * TILE_MS + draw.randrange(TILE_MS) for _ in range(9)
    ]
    return [(event, event + draw.randrange(2_000)) for event in events]


def moments(draw: random.Random) -> list[int]:
    return sorted(START_MS + draw.randrange(8 * TILE_MS) for _ in range(READINGS))


def wrong(readings: list[Reading], payments: list[Payment]) -> tuple[int, int]:
    """The wrong zeros of the textbook and of the solution."""
    counts = compare(readings, payments)
    sums = counts.select("wrong zeros, textbook", "wrong zeros, this solution").sum()
    textbook, solution = sums.row(0)
    return textbook, solution


def test_a_reader_of_the_log_has_no_wrong_zero_however_late_its_progress() -> None:
    draw = random.Random(SEED)
    payments = draw_payments(draw)
    readings: list[Reading] = []
    for at_ms in moments(draw):
        as_of_ms = at_ms - draw.randrange(GRACE_MS)
        log = count_in_log(payments, at_ms, at_ms)
        readings.append((at_ms, as_of_ms, log, count_in_log(payments, as_of_ms, as_of_ms)))
    assert {0} < {log for _, _, log, _ in readings}
    assert wrong(readings, payments) == (0, 0)


def test_every_zero_is_wrong_once_the_log_had_a_payment_of_the_tile_for_five_seconds() -> None:
    draw = random.Random(SEED)
    payments = draw_payments(draw)
    times = moments(draw)
    expected = sum(
        any(
            record + GRACE_MS <= at_ms and event // TILE_MS == at_ms // TILE_MS
            for event, record in payments
        )
        for at_ms in times
    )
    assert 0 < expected < READINGS
    assert wrong([(at_ms, at_ms, 0, 0) for at_ms in times], payments) == (expected, expected)
    assert wrong([(at_ms, at_ms, 0, None) for at_ms in times], payments) == (expected, 0)


def test_an_unknown_count_is_listed_as_unknown() -> None:
    counts = compare([(START_MS, START_MS, 1, None), (START_MS + 500, START_MS, 1, 1)], [])
    assert counts["unknown, this solution"].to_list() == [True, False]
    assert counts["second"].to_list() == [0.0, 0.5]
