"""A peer without Flink: a consumer of one partition, in plain Python.

    python -m benchmarks.harness.plain_consumer 0

It reads a partition to its end, keeps tiles in a dictionary, and writes each changed user at most
once a second, all families, by the same code as the writer. Nothing of it survives a kill. It
prints the time of its first event, and the time at which all was written.
"""

import json
import sys
import time
from collections import defaultdict
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from exercise_05_streaming.production.redis_sink import RedisSink
from exercise_05_streaming.topics import TRANSACTIONS
from exercise_05_streaming.windows import features
from exercise_05_streaming.writer import TileStore
from lab.settings import settings

AT_ONCE, BATCH = 5_000, 1_000
WRITE_S = 1.0


class PlainStream:
    """Tiles by user and start, and the users to write."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[str, int], list[int]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._seen: set[str] = set()
        self._store = TileStore()
        self._sink = RedisSink(1, self._store)

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
        """Write the changed users to Redis."""
        for user, start in self._changed:
            self._store.update(user, (start, *self._tiles[user, start]))
        users = sorted({user for user, _ in self._changed})
        self._changed.clear()
        now_ms = int(time.time() * 1_000)
        for batch in (users[n : n + BATCH] for n in range(0, len(users), BATCH)):
            self._sink.write(features(self._store.frame(batch), now_ms), now_ms)


def main() -> None:
    partition = TopicPartition(TRANSACTIONS, int(sys.argv[1]))
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address, enable_auto_commit=False)
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
