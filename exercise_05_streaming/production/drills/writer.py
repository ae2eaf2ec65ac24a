"""The writer to Redis is killed, again and again."""

from typing import Any

import psutil

from exercise_05_streaming.production.drills.scene import Scene
from exercise_05_streaming.production.writer_supervisor import WRITER

KILLS = 3
POLL_S = 0.01


def drill(scene: Scene) -> None:
    """Kill the writer as soon as it has written; the job starts another each time."""
    scene.start_job()
    with scene.events_in_flight():
        for _ in range(KILLS):
            wait_for_writes(scene)
            for writer in writers_of(scene):
                writer.kill()
    scene.require_exact()


def wait_for_writes(scene: Scene) -> None:
    """Until Redis has got rows that it did not have."""
    before = scripts_run(scene)
    scene.wait_until(lambda: scripts_run(scene) > before, POLL_S)


def scripts_run(scene: Scene) -> int:
    with scene.redis.client() as client:
        commands: dict[str, Any] = client.info("commandstats")
    return int(commands.get("cmdstat_evalsha", {"calls": 0})["calls"])


def writers_of(scene: Scene) -> list[psutil.Process]:
    return [child for child in scene.job().children() if WRITER in child.cmdline()]
