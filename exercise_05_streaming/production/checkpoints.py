"""Choose the folder of the job's state and the checkpoint that it resumes from."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from exercise_05_streaming.topics import TRANSACTIONS
from lab.errors import UserError
from lab.settings import settings
from lab.stack.lock import locked

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


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Raises UserError while another job holds the folder."""
    with locked(folder, timeout_s=settings.socket_timeout_s):
        yield


def resume_point(folder: Path, wanted: str) -> Path | None:
    """The checkpoint or savepoint to begin with; none to begin with the log.

    `wanted` is "latest", "none", or a path. The latest one is left alone if it is older than what
    the state remembers: duplicates and tiles that it has forgotten would be counted anew. The log
    has everything, so reading it from its beginning gives the same tiles.
    """
    if wanted == "none":
        return None
    if wanted != "latest":
        return _complete(Path(wanted).resolve())
    latest = max(folder.glob(f"**/{COMPLETE}"), key=_written, default=None)
    if latest is None or time.time() - _written(latest) > _resumable_s():
        return None
    return latest.parent


def _complete(point: Path) -> Path:
    if not (point / COMPLETE).exists():
        raise UserError(f"there is no checkpoint or savepoint in {point}", "leave out --resume")
    return point


def _written(metadata: Path) -> float:
    return metadata.stat().st_mtime


def _resumable_s() -> float:
    """A late event, or a second copy, may come so long after the first."""
    return (settings.state_ttl - settings.allowed_lateness).total_seconds()
