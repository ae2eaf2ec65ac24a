"""A submission cannot take Redis from the grader; a Redis that died is no fault of a submission."""

from collections.abc import Callable
from typing import Any

import psutil
import pytest
import redis

from checker.sandbox.sandbox import Sandbox
from checker.submission.submission import Submission
from checker.verdict.outcome import Outcome, Status
from tests.checker.conftest import GradeBy
from tests.checker.mutants import PLAIN

REPLICA_OF_NOBODY = ("127.0.0.1", 1)
PAUSE_MS = 60_000


def its_client(submission: Submission) -> redis.Redis:
    return redis.Redis(port=submission.sandbox.redis.port, socket_timeout=5)


def first_of_all_clients(client: redis.Redis) -> Any:
    return client.client_kill_filter(_type="normal", skipme=False)


DENIED: dict[str, Callable[[redis.Redis], object]] = {
    "shutdown": lambda client: client.shutdown(nosave=True),
    "client pause": lambda client: client.client_pause(PAUSE_MS),
    "client kill": first_of_all_clients,
    "replicaof": lambda client: client.replicaof(*REPLICA_OF_NOBODY),
    "acl": lambda client: client.acl_deluser("grader"),
}


@pytest.mark.parametrize("command", DENIED)
def test_what_would_cut_off_the_grader_fails_in_the_call_of_the_submission(
    command: str, box: Sandbox
) -> None:
    client = redis.Redis(port=box.redis.port, socket_timeout=5)
    with pytest.raises(redis.exceptions.NoPermissionError, match="no permissions"):
        DENIED[command](client)
    assert box.redis.client().ping()


def test_a_password_keeps_out_the_submission_alone(box: Sandbox) -> None:
    box.renew()
    redis.Redis(port=box.redis.port).config_set("requirepass", "mine")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=box.redis.port).ping()
    assert box.redis.client().ping()


def test_a_limit_that_the_submission_set_is_its_failure(grade_by: GradeBy) -> None:
    def full(submission: Submission) -> Outcome:
        its_client(submission).config_set("maxmemory", "1")
        submission.sandbox.redis.client().set("ours", "1")
        return Outcome(True, "", "")

    (failed,) = grade_by({"5.1": full}, PLAIN)
    assert failed.status is Status.FAIL
    assert "the submission left Redis" in failed.message
    assert "maxmemory" in failed.message


def test_a_redis_that_died_is_an_error_that_names_the_probe(grade_by: GradeBy) -> None:
    def killed(submission: Submission) -> Outcome:
        process = submission.sandbox.redis.pid_file.process()
        assert process is not None
        process.kill()
        psutil.wait_procs([process], timeout=10)
        return Outcome(False, "0 of 10", "10")

    (error,) = grade_by({"5.1": killed}, PLAIN)
    assert error.status is Status.ERROR
    assert "the grader's Redis is not running" in error.message


@pytest.mark.parametrize(("written", "status"), [(0, Status.ERROR), (2**40, Status.FAIL)])
def test_a_full_disk_is_an_error_unless_the_submission_filled_it(
    written: int, status: Status, grade_by: GradeBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(_: Submission) -> Outcome:
        monkeypatch.setattr("checker.sandbox.sandbox.free_on_disk", lambda _: 2**20)
        monkeypatch.setattr("checker.sandbox.sandbox.held_by", lambda _: written)
        return Outcome(False, "0 of 10", "10")

    (result,) = grade_by({"5.1": failed}, PLAIN)
    assert result.status is status
    assert ("1 MiB left" in result.message) == (status is Status.ERROR)
