"""What one would write without Flink: a consumer of one partition, in plain Python.

    python -m benchmarks.harness.plain_consumer 0

It reads a partition to its end, keeps tiles in a dictionary, and writes each changed user at most
once a second, all families, by the same code as the writer. Nothing of it survives a kill. When it
had its first event, and when all was written, it prints.
"""

import json
import sys
import time
from collections import defaultdict
from datetime import datetime
from typing import Any

import polars as pl
from kafka import KafkaConsumer, TopicPartition

from exercise_05_streaming.production.known_tiles import KnownTiles
from exercise_05_streaming.production.online_rows import OnlineRows
from exercise_05_streaming.production.topics import bootstrap
from exercise_05_streaming.production.windows import TILE
from lab.settings import settings

AT_ONCE = 5_000
WRITE_S = 1.0


class PlainStream:
    """Tiles by user and start, and who has to be written."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[str, int], list[int]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._seen: set[str] = set()
        self._known = KnownTiles()
        self._online = OnlineRows("plain")
        self._online.has_lost_rows()

    def take(self, message: bytes) -> None:
        """Count an event, unless it was counted before."""
        event = json.loads(message)
        if event["transaction_id"] in self._seen:
            return
        self._seen.add(event["transaction_id"])
        ms = round(datetime.fromisoformat(event["event_time"]).timestamp() * 1_000)
        cents, declined = round(event["amount"] * 100), int(not event["is_approved"])
        key = event["user_id"], ms // 300_000 * 300
        tile = self._tiles.setdefault(key, [0, 0, 0, 0, ms, ms])
        tile[0] += 1
        tile[1] += cents
        tile[2] = max(tile[2], cents)
        tile[3] += declined
        tile[4], tile[5] = min(tile[4], ms), max(tile[5], ms)
        self._changed.add(key)

    def write(self) -> None:
        """Bring Redis up to date."""
        rows = [(*key, *self._tiles[key]) for key in self._changed]
        self._changed.clear()
        self._known.learn(pl.DataFrame(rows, schema=TILE, orient="row"))
        now_ms = int(time.time() * 1_000)
        while users := self._known.due(now_ms, settings.tiles_at_once):
            self._online.write(self._known.features(users, now_ms), now_ms)


def main() -> None:
    partition = TopicPartition(settings.transactions_topic, int(sys.argv[1]))
    consumer = KafkaConsumer(bootstrap_servers=bootstrap(), enable_auto_commit=False)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    stream, times = PlainStream(), defaultdict[str, float](float)
    while consumer.position(partition) < end:
        polled: dict[Any, Any] = consumer.poll(timeout_ms=100, max_records=AT_ONCE)
        for record in polled.get(partition, []):
            stream.take(record.value)
        if polled and not times:
            times["begun"] = times["written"] = time.time()
        if time.time() - times["written"] > WRITE_S:
            stream.write()
            times["written"] = time.time()
    stream.write()
    print(json.dumps({"begun": times["begun"], "done": time.time()}))


if __name__ == "__main__":
    main()
