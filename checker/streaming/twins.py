"""Pairs of users with equal events: one has its first event late, when the next window has begun.

An event counts by its own time alone, so both have equal values, whether the five minutes are those
by the clock or rolling ones.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checker.streaming.events import Event, nonces

PAIRS = 4
BEFORE_S, AFTER_S = 20.0, 15.0  # the end of a window
USED_LATENESS = 0.8
SECOND = 7.25  # the amount of the second event, which is approved


@dataclass
class Twins:
    """The users of the pairs; `late` have what `on_time` have, once `sent`."""

    allowed_lateness_s: float
    sent: list[Event] = field(default_factory=list)
    on_time: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    _at: datetime | None = None
    _over: datetime | None = None

    @property
    def is_half_sent(self) -> bool:
        """Return True while the late events of the pairs are still to be sent."""
        return self._at is not None

    def due(self, now: datetime, window_left_s: float) -> list[Event]:
        """Return the events to send now; call it every second, also while there is nothing to send.

        After an interruption of the calls around the end of a window the next end counts.
        """
        if self.sent:
            return []
        if self._at is None or self._over is None:
            return self._first(now, window_left_s) if window_left_s <= BEFORE_S else []
        if now < self._over + timedelta(seconds=AFTER_S):
            return []
        at, self._at = self._at, None
        if (now - at).total_seconds() > USED_LATENESS * self.allowed_lateness_s:
            return []
        self.sent = _first_events(self.late, at)
        self.sent += [Event(user, now, SECOND) for user in (*self.on_time, *self.late)]
        return self.sent

    def _first(self, now: datetime, window_left_s: float) -> list[Event]:
        self._at, self._over = now, now + timedelta(seconds=window_left_s)
        self.on_time, self.late = nonces(PAIRS), nonces(PAIRS)
        return _first_events(self.on_time, now)


def _first_events(users: list[str], at: datetime) -> list[Event]:
    """Return an event of each user that changes every feature of a window that holds it."""
    return [Event(user, at, 30.5 + pair, is_approved=False) for pair, user in enumerate(users)]
