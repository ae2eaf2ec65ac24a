"""A worker of the Flink cluster is killed."""

from exercise_05_streaming.production.drills.scene import Scene
from lab.stack.flink import private_flink


def drill(scene: Scene) -> None:
    """Run the job on a cluster, and kill one of its two TaskManagers for good."""
    with private_flink(scene.folder) as cluster:
        scene.env["LAB_FLINK_REST_PORT"] = str(cluster.job_manager.port)
        scene.start_job("--cluster")
        with scene.events_in_flight():
            scene.wait_until(lambda: bool(scene.checkpoints()))
            victim = cluster.task_managers[0].pid_file.process()
            assert victim is not None
            victim.kill()
        scene.require_exact()
