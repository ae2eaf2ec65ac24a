"""Redis is killed, and comes back with what its append-only file has."""

import time
from collections.abc import Callable

from exercise_05_streaming.production.drills.scene import Scene
from exercise_05_streaming.production.drills.writer import wait_for_writes

AWAY_S = 3


def drill(scene: Scene) -> None:
    """Kill Redis while it is written, and start it again on its data."""
    kill_redis(scene, meanwhile=lambda: None)


def kill_redis(scene: Scene, meanwhile: Callable[[], None]) -> None:
    """Kill it while events are in flight, do something to it, start it again."""
    scene.start_job()
    with scene.events_in_flight():
        wait_for_writes(scene)
        server = scene.redis.pid_file.process()
        assert server is not None
        server.kill()
        time.sleep(AWAY_S)
        scene.redis.stop()
        meanwhile()
        scene.redis.start()
    scene.require_exact()
