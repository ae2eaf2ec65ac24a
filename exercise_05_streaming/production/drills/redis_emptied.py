"""Redis is killed, and its data is gone."""

import shutil

from exercise_05_streaming.production.drills.redis import kill_redis
from exercise_05_streaming.production.drills.scene import Scene


def drill(scene: Scene) -> None:
    """Kill Redis, delete its append-only file: the writer writes everyone anew."""
    kill_redis(scene, meanwhile=lambda: shutil.rmtree(scene.redis.directory / "appendonlydir"))
