"""The life of the services as processes: real ones, on private ports."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import psutil
import pytest
import redis

from lab.errors import UserError
from lab.settings import Settings
from lab.stack import down, up
from lab.stack.ports import free_port
from lab.stack.redis import RedisServer, private_redis
from tests.lab.stack.conftest import Programs, Status
from tests.settings_in_force import variables
from tests.waiting import eventually

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(
        which("redis-server") is None,
        reason="no redis-server: scripts/system-packages redis-server",
    ),
]
UP = "from lab.stack import up; up(['redis'])"


def tool(config: Settings) -> subprocess.Popen[bytes]:
    """Start another process that starts Redis, as a second terminal would."""
    fields = ("stack_dir", "stack_engine", "redis_port", "stack_timeout_s")
    env = os.environ | variables(**{field: getattr(config, field) for field in fields})
    return subprocess.Popen([sys.executable, "-c", UP], env=env)


def process_of(config: Settings) -> psutil.Process:
    """Return the process of the Redis that `up` started."""
    process = RedisServer(config).pid_file.process()
    assert process is not None
    return process


def fill(client: redis.Redis) -> None:
    for number in range(100):
        client.set(f"filler_{number}", "x" * 100_000)


def test_up_twice_keeps_the_same_redis_and_down_stops_it(
    config: Settings, redis_status: Status
) -> None:
    up(["redis"], config)
    first, process = redis_status(), process_of(config)
    up(["redis"], config)
    assert (redis_status(), process_of(config)) == (first, process)
    assert (first.state, first.how) == ("up", "process")
    down(config)
    assert redis_status().state == "down"
    assert not process.is_running()
    down(config)


def test_redis_is_durable_bounded_and_local(config: Settings) -> None:
    up(["redis"], config.model_copy(update={"redis_maxmemory": "3mb"}))
    with RedisServer(config).client() as client:
        options = client.config_get("append*", "maxmemory*", "save")
        assert (options["appendonly"], options["appendfsync"]) == ("yes", "everysec")
        assert (options["maxmemory"], options["maxmemory-policy"]) == (str(3 * 2**20), "noeviction")
        client.set("kept", "here")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill(client)
        assert client.get("kept") == b"here"
    sockets = process_of(config).net_connections()
    assert {found.laddr.ip for found in sockets} == {"127.0.0.1"}


def test_a_killed_redis_comes_back_with_its_data(config: Settings, redis_status: Status) -> None:
    up(["redis"], config)
    with RedisServer(config).client() as client:
        client.set("feature", 7)
    killed = process_of(config)
    killed.kill()
    killed.wait(10)
    assert redis_status().state == "down"
    up(["redis"], config)
    with RedisServer(config).client() as client:
        assert client.get("feature") == b"7"


def test_a_foreign_redis_is_named_and_never_touched(
    config: Settings, tmp_path: Path, redis_status: Status
) -> None:
    with private_redis(tmp_path / "foreign") as foreign:
        config = config.model_copy(update={"redis_port": foreign.port})
        with pytest.raises(UserError, match=rf"^Redis [\d.]+ listens on {foreign.address}") as e:
            up(["redis"], config)
        assert re.search(r"redis-server \(pid \d+\)", e.value.problem)
        assert f"export LAB_REDIS_URL=redis://{foreign.address}` to use it" in str(e.value)
        assert "export LAB_REDIS_PORT=" in str(e.value)
        down(config)
        assert redis_status(config).state == "foreign"
        assert foreign.answers()


def test_a_redis_of_the_users_is_used_and_neither_stopped_nor_emptied(
    config: Settings, tmp_path: Path, redis_status: Status
) -> None:
    with private_redis(tmp_path / "own") as own:
        named = {"redis_port": own.port, "redis_url": f"redis://localhost:{own.port}"}
        config = config.model_copy(update=named)
        up(["redis"], config)
        found = redis_status(config)
        assert (found.state, found.how, found.address) == ("up", "yours", own.address)
        down(config)
        assert own.answers()
        own.client().config_set("requirepass", "secret")
        with pytest.raises(UserError, match=f"no Redis answers on {own.address}, or it requires"):
            up(["redis"], config)
        with redis.Redis(port=own.port, password="secret") as client:
            client.config_set("requirepass", "")
    with pytest.raises(UserError, match="no Redis answers") as caught:
        up(["redis"], config)
    assert caught.value.next_step == "start it, or `unset LAB_REDIS_URL`"


def test_a_redis_that_is_too_old_is_not_left_running(
    config: Settings, monkeypatch: pytest.MonkeyPatch, redis_status: Status
) -> None:
    monkeypatch.setattr(RedisServer, "version", lambda _: (5, 0, 14))
    with pytest.raises(UserError, match=r"^Redis 5.0.14 on 127.0.0.1:\d+ is too old") as caught:
        up(["redis"], config)
    assert caught.value.next_step == "install Redis 6.0 or newer"
    assert redis_status().state == "down"
    monkeypatch.setattr(RedisServer, "version", lambda _: (6, 0, 0))
    up(["redis"], config)


def test_a_service_is_known_again_after_the_clock_was_set(
    config: Settings, monkeypatch: pytest.MonkeyPatch, redis_status: Status
) -> None:
    up(["redis"], config)
    boot = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3_600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3_600)
    assert redis_status().state == "up"
    down(config)
    assert redis_status().state == "down"


def test_a_recycled_pid_is_never_killed(config: Settings) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    record = {"pid": bystander.pid, "started": time.time() - 3_600, "port": config.redis_port}
    pid_file = config.stack_dir / "redis" / "redis.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text(json.dumps(record))
    try:
        up(["redis"], config)
        assert process_of(config).pid != bystander.pid
        down(config)
        pid_file.write_text(json.dumps(record))
        down(config)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_tool_killed_half_way_leaves_what_up_recovers_from(
    config: Settings, monkeypatch: pytest.MonkeyPatch, programs: Programs, redis_status: Status
) -> None:
    path, server = os.environ["PATH"], RedisServer(config)
    programs(redis_server=f"exec {which('sleep')} 600")
    killed = tool(config)
    eventually(server.is_running)
    killed.kill()
    killed.wait()
    monkeypatch.setenv("PATH", path)
    half_started = server.pid_file.process()
    assert half_started is not None
    up(["redis"], config.model_copy(update={"stack_timeout_s": 1}))
    assert redis_status().state == "up"
    assert not half_started.is_running()


def test_two_ups_at_once_start_one_redis(config: Settings, redis_status: Status) -> None:
    tools = [tool(config), tool(config)]
    assert [found.wait(60) for found in tools] == [0, 0]
    assert redis_status().state == "up"


def test_another_port_than_the_running_one_is_refused(
    config: Settings, redis_status: Status
) -> None:
    up(["redis"], config)
    elsewhere = config.model_copy(update={"redis_port": free_port()})
    with pytest.raises(UserError, match=f"already runs at 127.0.0.1:{config.redis_port}"):
        up(["redis"], elsewhere)
    assert redis_status(elsewhere) == redis_status()
