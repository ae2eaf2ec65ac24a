"""Writes the streaming features to Redis: what the tiles tell, and what time changes.

    python -m exercise_05_streaming.production.writer

It reads the topic of tiles from the beginning, writes everyone's features, then follows. A user is
written when a tile of theirs comes, and when a value changes because time passes: a window moves
on, a session ends. So counts go back to zero, though no event says so.

Any number of writers may run at once, and each may be killed at any time: what it knew is in the
topic, and Redis refuses whatever is outdated.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

import polars as pl
import redis
from confluent_kafka import Message

from exercise_05_streaming.production.known_tiles import KnownTiles
from exercise_05_streaming.production.online_rows import OnlineRows
from exercise_05_streaming.production.topic_reader import TopicReader
from exercise_05_streaming.production.windows import TILE
from lab.errors import UserError, run_script
from lab.settings import settings


class Writer:
    """Keeps Redis at what is known."""

    def __init__(
        self, topic: TopicReader, online: OnlineRows, clock: Callable[[], float] = time.time
    ) -> None:
        self.known = KnownTiles()
        self._topic = topic
        self._online = online
        self._clock = clock
        self._next_check = 0.0
        self._away_since: float | None = None

    def catch_up(self) -> None:
        """Learn what the topic has to tell; nothing is written before all of it is known."""
        for records in self._topic.to_the_end():
            self.known.learn(tiles_in(records))

    def follow(self) -> None:
        """Learn what has come, and write who is due."""
        self.known.learn(tiles_in(self._topic.poll()))
        self.write_due()

    def write_everyone(self) -> None:
        """Write until nobody is due."""
        self.known.mark_all()
        while self._away_since is not None or self.known.is_due(self._now_ms()):
            self.write_due()

    def write_due(self) -> None:
        """Write one batch of users who are due; UserError when Redis has been away for too long."""
        now_ms = self._now_ms()
        users: list[int] = []
        try:
            self._look_after_redis()
            users = self.known.due(now_ms, settings.tiles_at_once)
            if users:
                rows = self.known.features(users, now_ms)
                self._online.write(rows, now_ms)
                self.known.wait_for_change(users, rows)
            self._away_since = None
        except redis.RedisError as error:
            self.known.mark(users)
            self._check_patience(error)

    def _now_ms(self) -> int:
        return int(self._clock() * 1_000)

    def _look_after_redis(self) -> None:
        """Everyone is written anew if Redis may have lost something."""
        is_checked = time.monotonic() < self._next_check and self._away_since is None
        if not is_checked and self._online.has_lost_rows():
            self.known.mark_all()
        if not is_checked:
            self._next_check = time.monotonic() + settings.redis_check_s

    def _check_patience(self, error: redis.RedisError) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            say(f"Redis is away, trying again: {error}")
        if now - self._away_since > settings.writer_patience_s:
            address = settings.redis_address
            raise UserError(
                f"Redis at {address} could not be written for {settings.writer_patience_s:g} s: "
                f"{error}",
                "lab up redis",
            ) from error
        time.sleep(settings.tiles_poll_s)


def tiles_in(records: list[Message]) -> pl.DataFrame:
    """The tiles that these records hold, as windows.TILE; one without a value takes a tile back."""
    values = [value for record in records if (value := record.value()) is not None]
    return pl.read_ndjson(b"\n".join(values), schema=TILE) if values else TILE.to_frame()


def say(what: str) -> None:
    """A line of the log."""
    print(f"writer: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Run until SIGTERM or Ctrl-C, or until the process that started it is gone."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopped.append(received))
    parent = os.getppid()
    with TopicReader(settings.tiles_topic) as topic:
        writer = Writer(topic, OnlineRows(topic.id))
        begun = time.monotonic()
        writer.catch_up()
        say(f"knows {len(writer.known):,} users after {time.monotonic() - begun:.1f} s")
        while not stopped and os.getppid() == parent:
            writer.follow()
    say("stopped")


if __name__ == "__main__":
    run_script(main)
