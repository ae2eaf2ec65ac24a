"""Writes the streaming features of everyone anew, from the topic of tiles.

    python flink_streaming_features.py --rebuild

For a Redis that lost data, or whose values are in doubt. It may run beside the job and its writer:
like any writer, it cannot put an older value over a newer one.
"""

import time

from exercise_05_streaming.production.online_rows import OnlineRows
from exercise_05_streaming.production.topic_reader import TopicReader
from exercise_05_streaming.production.writer import Writer, say
from lab.errors import run_script
from lab.feature_store import connect_redis
from lab.settings import settings


def rebuild() -> int:
    """Read the whole topic and write every user; how many they are.

    Raises UserError when Kafka or Redis does not answer.
    """
    connect_redis().close()  # the writer waits for a Redis that is away; who asks does not
    with TopicReader(settings.tiles_topic) as topic:
        writer = Writer(topic, OnlineRows(topic.id))
        writer.catch_up()
        writer.write_everyone()
    return len(writer.known)


def main() -> None:
    """Rebuild, and say how long it took."""
    begun = time.monotonic()
    users = rebuild()
    say(f"rebuilt {users:,} users in {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    run_script(main)
