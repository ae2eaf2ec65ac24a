"""Measure what all processes of a submission take of the machine; end them beyond the limits.

It runs in the server of children. In a process namespace of its own, where that is process 1, it
sees all and ends all at once; elsewhere only those that are still its descendants.
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
FORKED_WITHOUT_EXEC = 0x40  # the kernel's PF_FORKNOEXEC
FLAGS, THREADS = 6, 17  # places in /proc/…/stat after the name
PAGE = os.sysconf("SC_PAGE_SIZE")
TRIES, PAUSE_S = 100, 0.02


@dataclass(frozen=True)
class Guard:
    """The limits of a submission, and the folders that it writes."""

    folders: Sequence[str]
    processes: int
    threads: int
    memory_bytes: int
    disk_bytes: int
    files: int
    free_bytes: int

    def excess(self) -> str:
        """Describe the resource that is taken beyond its limit; empty when none is."""
        pids = others()
        if len(pids) > self.processes:
            return f"more than {self.processes} processes"
        if sum(_stat(pid, THREADS) for pid in pids) > self.threads:
            return f"more than {self.threads} threads"
        if sum(_own_memory(pid) for pid in pids) > self.memory_bytes:
            return f"more than {self.memory_bytes / 2**30:g} GiB of memory in all"
        return ""

    def excess_on_disk(self) -> str:
        """Describe folders over their limit, or a disk with less free space than its limit."""
        if free_on_disk(self.folders[0]) < self.free_bytes:
            return f"all but {self.free_bytes >> 20} MiB of the disk"
        found = 0
        for files, entry in enumerate(_entries(self.folders), 1):
            with suppress(OSError):
                found += entry.stat(follow_symlinks=False).st_blocks * 512
            if found > self.disk_bytes:
                return f"more than {self.disk_bytes / 2**30:g} GiB on disk"
            if files > self.files:
                return f"more than {self.files} files"
        return ""


def free_on_disk(folder: str) -> int:
    """Bytes that its disk has left."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def held_by(folders: Sequence[str]) -> int:
    """Bytes that the folders hold, as far as one can look at them."""
    held = 0
    for entry in _entries(folders):
        with suppress(OSError):
            held += entry.stat(follow_symlinks=False).st_blocks * 512
    return held


def _entries(folders: Sequence[str]) -> Iterator[os.DirEntry[str]]:
    """All that is in the folders and below, but for what is mounted there.

    A path that is too long to look at is left out.
    """
    waiting, mounted = list(folders), _mounted()
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.path in mounted:
                    continue
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


@cache
def _mounted() -> frozenset[str]:
    """Return the mount points; empty where the system does not list them."""
    with suppress(FileNotFoundError):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return frozenset(line.split()[4] for line in lines)
    return frozenset()


def keep_to_oneself() -> None:
    """Let no other process look into this one, and take in those whose parents have ended."""
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def open_up() -> None:
    """Undo the former in a child: its own /proc is of use to what runs there."""
    _prctl(PR_SET_DUMPABLE, 1)


def others() -> list[int]:
    """The processes that a submission has: in a namespace of one's own all others."""
    if os.getpid() == 1:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    return [process.pid for process in psutil.Process().children(recursive=True)]


def end_others() -> None:
    """Kill them, and wait until they are gone.

    Process 1 kills all in one step, which no fork can outrun.
    """
    for _ in range(TRIES):
        found = others()
        if not found:
            return
        for pid in [-1] if os.getpid() == 1 else found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


def shared_memory_is_left() -> bool:
    """Return whether shared memory outlives its processes, in the namespaces of this one."""
    listed = [Path("/proc/sysvipc", kind) for kind in ("shm", "sem", "msg")]
    system_v = [file.read_text().splitlines()[1:] for file in listed if file.exists()]
    return any(system_v) or bool(os.listdir("/dev/shm"))


def _own_memory(pid: int) -> int:
    """Its memory without files'; of a fork, without what it had from this process."""
    inherited = _anonymous(os.getpid()) if _stat(pid, FLAGS) & FORKED_WITHOUT_EXEC else 0
    return max(_anonymous(pid) - inherited, 0)


def _anonymous(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * PAGE


def _stat(pid: int, place: int) -> int:
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(said.rpartition(")")[2].split()[place])


def _prctl(option: int, value: int) -> None:
    """On Linux; elsewhere there is no such thing."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(option, value, 0, 0, 0)
