"""The job is killed in the middle of a checkpoint."""

from exercise_05_streaming.production.drills.scene import Scene


def drill(scene: Scene) -> None:
    """Kill the job while a checkpoint is being written, then start it again."""
    scene.start_job()
    with scene.events_in_flight():
        scene.wait_until(lambda: any((c / "_metadata").exists() for c in scene.checkpoints()))
        scene.wait_until(lambda: any(not (c / "_metadata").exists() for c in scene.checkpoints()))
        scene.kill_job()
        scene.start_job()
    scene.require_exact()
