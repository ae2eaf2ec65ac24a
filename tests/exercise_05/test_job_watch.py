"""The end of a job whose Flink gives no answer; test_strangers_solution.py has a restart."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from py4j.protocol import Py4JError

from exercise_05_streaming.progress import JobWatch, first_cause

OUT_OF_MEMORY = """An error occurred while calling o312.isDone.
: java.lang.OutOfMemoryError: Java heap space
\tat java.base/java.util.HashMap.resize(HashMap.java:702)
"""
WRAPPED = """An error occurred while calling o9.get.
: java.util.concurrent.ExecutionException: org.apache.flink.JobExecutionException: Job failed.
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: org.apache.flink.runtime.JobException: Recovery is suppressed
\t... 5 more
Caused by: java.lang.NullPointerException: the tile is null
\tat Tiles.java:7
"""


def fails(message: str) -> Callable[[], Any]:
    def call() -> Any:
        raise Py4JError(message)

    return call


def watch(
    done: Callable[[], Any] = lambda: False,
    status: Callable[[], Any] | None = None,
) -> JobWatch:
    """Return the watch of a job whose client answers like that."""
    end = SimpleNamespace(done=done, result=done)
    answer = status or (lambda: SimpleNamespace(name="RUNNING"))
    client = SimpleNamespace(
        get_job_execution_result=lambda: end,
        get_job_status=lambda: SimpleNamespace(result=answer),
    )
    return JobWatch(cast(Any, client))


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (OUT_OF_MEMORY, "java.lang.OutOfMemoryError: Java heap space"),
        (WRAPPED, "java.lang.NullPointerException: the tile is null"),
        ("java.io.IOException: full\n\tat X.java:1", "java.io.IOException: full"),
        ("", ""),
    ],
    ids=["out_of_memory", "wrapped", "plain", "none"],
)
def test_the_first_cause_is_one_line(trace: str, cause: str) -> None:
    assert first_cause(trace) == cause


@pytest.mark.parametrize(
    "ended",
    [
        watch(done=lambda: True),
        watch(done=fails(OUT_OF_MEMORY)),
        watch(status=fails("MiniCluster is not yet running or has already been shut down")),
    ],
)
def test_a_job_that_does_not_answer_has_ended(ended: JobWatch) -> None:
    assert not ended.is_running()


def test_a_jvm_without_memory_is_named() -> None:
    cause = watch(done=fails(OUT_OF_MEMORY)).cause_of_end()
    assert cause == "java.lang.OutOfMemoryError: Java heap space"
