"""The sandbox: names of services, the best isolation there is, and what is removed afterwards.

test_hostile.py tries what a submission in isolation can read, write and take.
"""

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from checker.sandbox.folders import Folders
from checker.sandbox.isolation import (
    APART,
    NO_NETWORK,
    NOT_ISOLATED,
    OFFLINE,
    chosen,
    isolated,
    offline,
    works,
)
from checker.sandbox.sandbox import Sandbox, sandbox
from checker.settings import CheckerSettings
from lab.errors import UserError
from lab.stack.lock import locked
from tests.waiting import eventually

pytestmark = pytest.mark.services  # bubblewrap, and all that it isolates

SLEEP = ["sleep", "6007"]


@pytest.fixture
def apart(
    config: CheckerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CheckerSettings:
    # Feast sets these once in a process, for good: what is changed here is undone to that.
    importlib.import_module("feast.metrics")
    # In the sandbox that folder is not there.
    (tmp_path / "metrics").mkdir()
    for name in ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "metrics"))
    if not works(APART):
        pytest.skip("bubblewrap does not work here: scripts/system-packages bwrap")
    return config.model_copy(update={"isolation": "files"})


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "box")
    made.root.mkdir()
    made.make()
    return made


def output_of(code: str, folders: Folders, config: CheckerSettings) -> str:
    command = isolated([sys.executable, "-c", code], folders, config)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_services_answer_to_the_names_of_a_compose_file(
    folders: Folders, apart: CheckerSettings
) -> None:
    names = ["localhost", "redis", "kafka", "broker"]
    code = f"import socket; print({{socket.gethostbyname(name) for name in {names}}})"
    assert output_of(code, folders, apart).strip() == "{'127.0.0.1'}"


@pytest.mark.kafka
def test_java_finds_the_services_by_these_names_too(
    folders: Folders, apart: CheckerSettings
) -> None:
    code = (
        "class Names { public static void main(String[] names) throws Exception {\n"
        "for (String name : names)\n"
        "System.out.println(java.net.InetAddress.getByName(name).getHostAddress()); } }"
    )
    (folders.scratch / "Names.java").write_text(code)
    java = ["java", str(folders.scratch / "Names.java"), "redis", "kafka", "broker"]
    run = subprocess.run(isolated(java, folders, apart), capture_output=True, text=True)
    assert run.stdout.split() == ["127.0.0.1"] * 3, run.stderr


def test_where_namespaces_are_missing_it_is_reported(
    folders: Folders, apart: CheckerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="does not work here"):
        isolated(["true"], folders, apart)


def asleep() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == SLEEP]


def test_without_isolation_too_what_escaped_is_ended(box: Sandbox, tmp_path: Path) -> None:
    """Its parent has ended, and its session is its own."""
    child = box.child(cwd=tmp_path, path=[], env={}, log=tmp_path / "log", memory_bytes=2**33)
    child.ask(60, do="run", command="(setsid sleep 6007 &)")
    eventually(asleep)
    sleeping = asleep()
    box.close_children()
    assert not psutil.wait_procs(sleeping, timeout=30)[1]


@pytest.mark.parametrize(
    ("possible", "isolation", "lacks"),
    [
        ([OFFLINE, APART], "full", ""),
        ([APART], "files", NO_NETWORK),
        ([], "none", NOT_ISOLATED),
    ],
)
def test_the_best_isolation_there_is_is_taken_and_what_it_lacks_is_printed(
    possible: list[tuple[str, ...]],
    isolation: str,
    lacks: str,
    config: CheckerSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("checker.sandbox.isolation.works", lambda options: options in possible)
    taken, message = chosen(config.model_copy(update={"isolation": "auto"}))
    assert (taken.isolation, message) == (isolation, lacks)
    if isolation != "full":
        with pytest.raises(UserError, match="LAB_ISOLATION=full does not work here"):
            chosen(config.model_copy(update={"isolation": "full"}))


def test_a_grader_with_a_network_of_its_own_waits_for_its_turn_all_the_same(
    config: CheckerSettings, tmp_path: Path
) -> None:
    """Timings are taken one at a time on the whole machine."""
    if not works(OFFLINE):
        pytest.skip("bubblewrap does not work here: scripts/system-packages bwrap")
    alone = config.model_copy(update={"isolation": "full"})
    code = (
        "from pathlib import Path\n"
        "from lab.errors import UserError\n"
        "from lab.stack.lock import locked\n"
        "try:\n"
        f"    with locked(Path({str(tmp_path)!r}), timeout_s=0): print('free')\n"
        "except UserError: print('taken')\n"
        "print(*[line.split()[0] for line in open('/proc/net/dev').readlines()[2:]])\n"
    )
    command = offline([sys.executable, "-c", code], alone)
    with locked(tmp_path, timeout_s=0):
        locks = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (locks.split(), free.split()) == (["taken", "lo:"], ["free", "lo:"])


LEAVES_A_FILE = "for place in ('/dev/shm/left', '/tmp/left'): open(place, 'w').close()"
LEFT = "os.listdir('/dev/shm') + [n for n in os.listdir('/tmp') if n == 'left']"
LEAVES_A_SEGMENT = "import ctypes; assert ctypes.CDLL(None).shmget(6007, 4096, 0o1600) >= 0"


def test_shared_memory_is_not_handed_on(apart: CheckerSettings, tmp_path: Path) -> None:
    with sandbox(apart) as box:

        def run(code: str) -> int:
            cwd, log = box.directory, box.directory / "log"
            child = box.child(cwd=cwd, path=[], env={}, log=log, memory_bytes=2**33)
            return int(child.ask(60, do="run", command=f"{sys.executable} -c {shlex.quote(code)}"))

        for code in ("", LEAVES_A_FILE, LEAVES_A_SEGMENT):
            before = box.server.pid_outside(1)
            assert run(code) == 0
            box.renew()
            assert (box.server.pid_outside(1) == before) is (code == "")
        assert run(f"import os; assert {LEFT} == []") == 0


def test_what_a_submission_left_is_removed_and_mounted_folders_stay(folders: Folders) -> None:
    mounted = folders.tmp / "mounted"
    mounted.mkdir()
    folders.note_mounts()
    (mounted / "left").write_text("")
    closed = folders.scratch / "closed"
    closed.mkdir()
    (closed / "left").write_text("")
    closed.chmod(0)
    (folders.scratch / "link").symlink_to(mounted)
    folders.empty()
    assert list(folders.scratch.rglob("*")) == [folders.own_tmp]
    assert list(folders.tmp.rglob("*")) == [mounted]
