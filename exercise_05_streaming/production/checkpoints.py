"""Choose the folder of the job's state and the checkpoint that it resumes from."""

import re
import time
from pathlib import Path

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from exercise_05_streaming.topics import TRANSACTIONS
from lab.settings import settings

COMPLETE = "_metadata"  # Flink writes it last
DEFINITION = "definition"


def checkpoint_folder(log_id: str) -> Path:
    """Return the folder of one log's state: a topic that was created again is another log."""
    base = settings.checkpoint_dir or settings.build_dir / "flink" / "checkpoints"
    return base.resolve() / log_id


def forget_checkpoints(folder: Path) -> None:
    """Delete checkpoints and savepoints: the next start reads the log from its beginning."""
    for file in folder.glob(f"**/{COMPLETE}"):
        file.unlink()


def id_of_log() -> str:
    """Return the ids of the cluster and of the topic, which Kafka gave when it created them."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_address, "log_level": 0})
    cluster = admin.list_topics(timeout=settings.kafka_timeout_s).cluster_id
    topics = admin.describe_topics(TopicCollection([TRANSACTIONS]))
    topic = topics[TRANSACTIONS].result(settings.kafka_timeout_s).topic_id
    return re.sub(r"\W", "_", f"{cluster}-{topic}")  # it names a folder


def resume_point(folder: Path, definition: str) -> Path | None:
    """Return the newest checkpoint or savepoint; None to read the log from its beginning.

    Two cases begin again, because a reread of the log gives the same tiles. The newest one may be
    too old: the job would count copies, and new versions of tiles, that it has forgotten. Or it is
    of another definition, on which Flink would restore nothing, or values by two definitions.
    """
    known = folder / DEFINITION
    if not known.exists() or known.read_text() != definition:
        if any(folder.glob(f"**/{COMPLETE}")):
            print("Deleted the checkpoints of another definition or state backend", flush=True)
        forget_checkpoints(folder)
        known.write_text(definition)
    found = {file.parent: age_s(file.parent) for file in folder.glob(f"**/{COMPLETE}")}
    newest = min(found, key=lambda point: found[point], default=None)
    return newest if newest and found[newest] <= settings.max_lag.total_seconds() else None


def age_s(point: Path) -> float:
    """Return the seconds since a checkpoint or savepoint was complete."""
    return time.time() - (point / COMPLETE).stat().st_mtime


def generation_of(folder: Path, now_ms: int, *, is_new: bool) -> int:
    """Return the generation of the tiles: the time in ms of the last start without a checkpoint.

    A resumed job goes on with its own. `now_ms` is of Redis, whose rows have the generation in
    their version: from a machine with a clock ahead no later job could replace them.
    """
    file = folder / "generation"
    if is_new or not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(str(now_ms))
    return int(file.read_text())
