"""Choose the folder of the job's state and the checkpoint that it resumes from."""

import re
import time
from pathlib import Path

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from exercise_05_streaming.progress import forget_offsets
from exercise_05_streaming.topics import TRANSACTIONS
from exercise_05_streaming.writer import clock_ms
from lab.settings import settings

COMPLETE = "_metadata"  # Flink writes it last


def checkpoint_folder(log_id: str) -> Path:
    """Return the folder of one log's state: a topic that was created again is another log."""
    base = settings.checkpoint_dir or settings.build_dir / "flink" / "checkpoints"
    return base.resolve() / log_id


def id_of_log() -> str:
    """Return the ids of the cluster and of the topic, which Kafka gave when it created them."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    cluster = admin.list_topics(timeout=settings.kafka_timeout_s).cluster_id
    topics = admin.describe_topics(TopicCollection([TRANSACTIONS]))
    topic = topics[TRANSACTIONS].result(settings.kafka_timeout_s).topic_id
    return re.sub(r"\W", "_", f"{cluster}-{topic}")  # it names a folder


def resume_point(folder: Path) -> Path | None:
    """Return the newest checkpoint or savepoint; None to read the log from its beginning.

    None also when the newest one is older than the state's memory: the job would count copies, and
    new versions of tiles, that it has forgotten. A reread of the log gives the same tiles.
    """
    found = {file.parent: file.stat().st_mtime for file in folder.glob(f"**/{COMPLETE}")}
    newest = max(found, key=lambda point: found[point], default=None)
    # A late event, or a second copy, may come so long after the first.
    resumable_s = (settings.state_ttl - settings.allowed_lateness).total_seconds()
    return newest if newest and time.time() - found[newest] <= resumable_s else None


def generation_of(folder: Path, *, is_new: bool) -> int:
    """Return the generation of the job's tiles: the time in ms when it last started anew.

    A new one begins with no committed offset. A resumed job goes on with its own.
    """
    file = folder / "generation"
    if is_new or not file.exists():
        forget_offsets()
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(str(clock_ms()))
    return int(file.read_text())
