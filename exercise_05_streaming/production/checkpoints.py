"""Choose the folder of the job's state and the checkpoint that it resumes from."""

import re
import time
from pathlib import Path

from lab.settings import settings

COMPLETE = "_metadata"  # Flink writes it last
DEFINITION = "definition"


def checkpoint_folder(topic_ids: str) -> Path:
    """Return the folder of the state: with a topic that was created again it has another one."""
    base = settings.checkpoint_dir or settings.build_dir / "flink" / "checkpoints"
    return base.resolve() / re.sub(r"\W", "_", topic_ids)  # in Base64, which has slashes


def forget_checkpoints(folder: Path) -> None:
    """Delete checkpoints and savepoints: the next start reads the log from its beginning."""
    for file in folder.glob(f"**/{COMPLETE}"):
        file.unlink()


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
