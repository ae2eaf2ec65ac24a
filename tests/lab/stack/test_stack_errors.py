"""Failures of `up`: a clear error, the log, the next command, and nothing left running."""

import re
import socketserver
from contextlib import nullcontext
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import psutil
import pytest

from lab.errors import UserError
from lab.settings import Settings
from lab.stack import down, up
from lab.stack.control import running
from tests.lab.stack.conftest import Programs, Status

pytestmark = pytest.mark.skipif(
    which("redis-server") is None, reason="no redis-server: scripts/system-packages redis-server"
)


def test_a_redis_that_dies_while_starting_is_reported_with_its_log(
    config: Settings, redis_status: Status
) -> None:
    patient = {"stack_timeout_s": 100_000}  # its end is detected, without the full timeout
    with pytest.raises(UserError) as caught:
        up(["redis"], config.model_copy(update={"redis_maxmemory": "plenty", **patient}))
    log = config.stack_dir / "redis" / "redis.log"
    assert "redis died while starting" in caught.value.problem
    assert str(log) in caught.value.problem
    assert "memory value" in caught.value.problem
    assert str(log) in (caught.value.next_step or "")
    assert redis_status().state == "down"


def test_a_redis_that_never_answers_is_ended(
    config: Settings, tmp_path: Path, programs: Programs
) -> None:
    started = tmp_path / "started"
    programs(redis_server=f"echo $$ > {started}; exec {which('sleep')} 600")
    with pytest.raises(UserError, match=r"did not answer on 127.0.0.1:\d+ within 2 s"):
        up(["redis"], config.model_copy(update={"stack_timeout_s": 2}))
    assert not psutil.pid_exists(int(started.read_text()))


def test_without_disk_space_nothing_starts(config: Settings, redis_status: Status) -> None:
    with pytest.raises(UserError, match=r"no disk space: \d+ MB free") as caught:
        up(["redis"], config.model_copy(update={"stack_min_free_mb": 10**9}))
    assert "df -h" in (caught.value.next_step or "")
    assert redis_status().state == "down"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_fills_while_starting_is_named(config: Settings, redis_status: Status) -> None:
    folder = config.stack_dir / "redis"
    folder.mkdir(parents=True)
    (folder / "redis.pid.new").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device"):
        up(["redis"], config)
    assert redis_status().state == "down"


def test_a_folder_that_cannot_be_written_is_named(config: Settings) -> None:
    config.stack_dir.parent.joinpath("file").write_text("not a folder")
    blocked = config.model_copy(update={"stack_dir": config.stack_dir.parent / "file" / "stack"})
    with pytest.raises(UserError, match=r"cannot write .*file/stack: Not a directory"):
        up(["redis"], blocked)


REPLIES = {
    "another protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
    "no version": (b"+OK\r\n", False),
    "protected mode": (b"-DENIED Redis is running in protected mode\r\n", False),
    "6.2": (b"$17\r\nredis_version:6.2\r\n", True),
    "7.4.0-rc1": (b"$23\r\nredis_version:7.4.0-rc1\r\n", True),
}


@pytest.mark.parametrize("case", REPLIES)
def test_a_server_at_redis_url_is_used_or_refused(config: Settings, case: str) -> None:
    reply, is_redis = REPLIES[case]

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while received := self.request.recv(65_536):
                for command in re.findall(rb"INFO|\*", received):
                    if not (command == b"*" and b"INFO" in received):
                        self.request.sendall(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        named = {"redis_port": port, "redis_url": f"redis://127.0.0.1:{port}"}
        config = config.model_copy(update=named)
        refused: Any = pytest.raises(UserError, match="no Redis answers")
        with nullcontext() if is_redis else refused:
            up(["redis"], config)
        assert bool(running(config)) == (case != "another protocol")
        server.shutdown()


@pytest.mark.parametrize("record", ["", "1234", "{}", '{"pid": -1, "started": 1}', "\0\0"])
def test_a_damaged_pid_file_is_of_no_service(
    config: Settings, redis_status: Status, record: str
) -> None:
    pid_file = config.stack_dir / "redis" / "redis.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text(record)
    assert redis_status().state == "down"
    down(config)


def test_an_unknown_service_is_refused(config: Settings, redis_status: Status) -> None:
    with pytest.raises(UserError, match="no service named postgres"):
        up(["redis", "postgres"], config)
    assert redis_status().state == "down"


def test_without_redis_server_the_error_names_the_command(
    config: Settings, programs: Programs
) -> None:
    programs()
    with pytest.raises(UserError, match="redis-server") as caught:
        up(["redis"], config)
    assert "redis" in (caught.value.next_step or "")


@pytest.mark.parametrize("already_up", [True, False])
def test_without_java_only_what_this_up_started_is_stopped(
    config: Settings, programs: Programs, already_up: bool, redis_status: Status
) -> None:
    programs("redis-server")
    if already_up:
        up(["redis"], config)
    with pytest.raises(UserError, match="kafka needs `java`"):
        up(["redis", "kafka"], config)
    assert redis_status().state == ("up" if already_up else "down")


def test_a_java_that_is_too_old_is_refused(config: Settings, programs: Programs) -> None:
    programs(java="echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    with pytest.raises(UserError, match=r"needs Java 17 or newer.*11\.0\.2"):
        up(["kafka"], config)


def test_without_maven_the_jars_cannot_come(
    config: Settings, tmp_path: Path, programs: Programs
) -> None:
    programs(java="echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    with pytest.raises(UserError, match="kafka needs `mvn`"):
        up(["kafka"], config.model_copy(update={"kafka_jars_dir": tmp_path / "jars"}))
