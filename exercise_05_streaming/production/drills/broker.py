"""The Kafka broker is killed."""

import time

from exercise_05_streaming.production.drills.scene import Scene

AWAY_S = 3


def drill(scene: Scene) -> None:
    """Kill the broker and start it again on its data; producer, job and writer wait for it."""
    scene.start_job()
    with scene.events_in_flight():
        scene.wait_until(lambda: bool(scene.checkpoints()))
        broker = scene.kafka.pid_file.process()
        assert broker is not None
        broker.kill()
        time.sleep(AWAY_S)
        scene.kafka.stop()
        scene.kafka.start()
    scene.require_exact()
