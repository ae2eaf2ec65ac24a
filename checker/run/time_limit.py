"""Time limit of a criterion."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from checker.verdict.outcome import SubmissionError

REPEAT_S = 5


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise SubmissionError in the block once it took `seconds`, and again where that is caught.

    Only in a main thread. A timer that ran before goes on afterwards.
    """

    def expired(*_: object) -> None:
        raise SubmissionError(f"took more than {seconds:g} s in all")

    start = time.monotonic()
    handler = signal.signal(signal.SIGALRM, expired)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            passed = time.monotonic() - start
            signal.setitimer(signal.ITIMER_REAL, max(left - passed, 0.001), interval)
