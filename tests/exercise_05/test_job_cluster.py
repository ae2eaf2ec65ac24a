"""The same job on a real Flink cluster; the test kills one of its workers."""

from collections.abc import Iterator
from itertools import islice

import pytest

from lab.stack.flink import FlinkCluster, private_flink
from tests.exercise_05.payments import traffic
from tests.exercise_05.pipeline import NewPipeline
from tests.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.drills]

EVENTS = 5_000


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with private_flink(tmp_path_factory.mktemp("flink")) as started:
        yield started


def states(cluster: FlinkCluster) -> list[str]:
    """Return the states of the cluster's jobs."""
    return [job["status"] for job in cluster.query("/jobs")["jobs"]]


def test_a_killed_task_manager_costs_nothing(
    cluster: FlinkCluster, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline()
    pipeline.settings["flink_rest_port"] = cluster.job_manager.port
    payments = traffic(seed=3)
    pipeline.send(islice(payments, EVENTS))
    with pipeline.job("--cluster") as job:
        job.wait_until_running()
        eventually(lambda: bool(pipeline.checkpoints()))
        victim = cluster.task_managers[0].pid_file.process()
        assert victim is not None
        pipeline.send(islice(payments, EVENTS))
        victim.kill()
        pipeline.send(islice(payments, EVENTS))
        pipeline.wait_until_exact()
        assert states(cluster) == ["RUNNING"]
        assert job.stop() == 0, job.output
    assert states(cluster) == ["FINISHED"]
