"""Fault-injection tests: kill a service or a process under load, then compare with the log.

python -m exercise_05_streaming.production.drills                       # all of them
python -m exercise_05_streaming.production.drills redis --parts job     # without the part `writer`
"""

import shutil
import time
from collections.abc import Callable
from typing import Annotated

import typer

from exercise_05_streaming.production.scene import Scene, new_scene
from lab.errors import UserError, run_script
from lab.stack.flink import private_flink
from lab.stack.service import Service

OUTAGE_S = 3


def kill_broker(scene: Scene) -> None:
    """Kill Kafka and start it again on its data; producer, job and writer wait for it."""
    scene.start_job()
    with scene.events_in_flight():
        scene.wait_until(lambda: any(scene.checkpoints().values()))
        restart(scene.kafka)
    scene.require_exact()


def kill_job(scene: Scene) -> None:
    """Kill the job while a checkpoint is being written, then start it again."""
    scene.start_job()
    with scene.events_in_flight():
        scene.wait_until(lambda: any(scene.checkpoints().values()))
        scene.wait_until(lambda: not all(scene.checkpoints().values()))
        scene.kill_job()
        scene.start_job()
    scene.require_exact()


def kill_redis(scene: Scene, *, with_data: bool = False) -> None:
    """Kill Redis while it is written, and start it again on its append-only file."""
    scene.start_job()
    with scene.events_in_flight():
        scene.wait_for_writes()
        lost = scene.redis.directory / "appendonlydir"
        restart(scene.redis, lambda: shutil.rmtree(lost) if with_data else None)
    scene.require_exact()


def empty_redis(scene: Scene) -> None:
    """Kill Redis and delete its append-only file: every user is written again."""
    kill_redis(scene, with_data=True)


def kill_task_manager(scene: Scene) -> None:
    """Run the job on a cluster, and kill one of its two TaskManagers for good."""
    with private_flink(scene.folder) as cluster:
        scene.env["LAB_FLINK_REST_PORT"] = str(cluster.job_manager.port)
        scene.start_job("--cluster")
        with scene.events_in_flight():
            scene.wait_until(lambda: any(scene.checkpoints().values()))
            kill(cluster.task_managers[0])
        scene.require_exact()


FAULTS: dict[str, Callable[[Scene], None]] = {
    "broker": kill_broker,
    "job": kill_job,
    "redis": kill_redis,
    "redis_emptied": empty_redis,
    "task_manager": kill_task_manager,
}


def kill(service: Service) -> None:
    """Kill the process of a service."""
    process = service.pid_file.process()
    assert process is not None
    process.kill()


def restart(service: Service, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Kill a service, and start it again after some seconds."""
    kill(service)
    time.sleep(OUTAGE_S)
    service.stop()
    meanwhile()
    service.start()


def main(
    names: Annotated[list[str] | None, typer.Argument(help="all by default")] = None,
    parts: Annotated[str, typer.Option(help="production parts of the job")] = "job,writer",
) -> None:
    """Run fault-injection tests, each on services of its own."""
    for name in names or FAULTS:
        if name not in FAULTS:
            raise UserError(f"{name} cannot be killed", f"choose from: {', '.join(FAULTS)}")
        start = time.monotonic()
        with new_scene(parts) as scene:
            FAULTS[name](scene)
        print(f"{name}: killed, and exact after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
