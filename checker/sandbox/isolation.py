"""Isolate a submission: it sees programs and libraries, one folder to write, and nobody else.

bubblewrap makes it. Inside, code has no capabilities, no processes but its own, and of the file
system only what is named here. A network of its own is given to the whole process that grades.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from checker.sandbox.folders import TEMPORARY, Folders
from checker.sandbox.hosts import HOSTS, hosts_file
from checker.settings import CheckerSettings
from lab.errors import UserError
from lab.settings import ROOT

SHARED_MEMORY_BYTES = 256 * 2**20
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# The files of /etc that programs need to start, for time and names; no keys, no passwords.
ETC = (
    *("alternatives", "ca-certificates*", "fonts", "group", "host.conf", "java*", "ld.so.*"),
    *("localtime", "mime.types", "nsswitch.conf", "passwd", "ssl/certs", "timezone"),
)
OURS = ("checker", "lab", "feast_plugins")

NOT_ISOLATED = (
    "no isolation: submissions can read what you can read, reach the network, and end your "
    "processes; one at a time, on free ports"
)
NO_NETWORK = (
    "no network of their own: submissions can reach the network and each other's services; "
    "one at a time, on free ports"
)
OFFLINE = ("bwrap", "--unshare-user", "--unshare-net", "--die-with-parent")
APART = (
    *("bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
    *("--as-pid-1", "--die-with-parent", "--cap-drop", "ALL", "--disable-userns"),
)


def isolated(command: Sequence[str], folders: Folders, config: CheckerSettings) -> list[str]:
    """Return the command that runs `command` isolated, or itself where isolation is off.

    It may write the scratch folder, and one that stands for /tmp. Raises UserError where that is
    not possible.
    """
    if config.isolation in ("none", "auto"):
        return list(command)
    if not works(APART):
        raise UserError("bubblewrap (bwrap) does not work here", "LAB_ISOLATION=none lab grade …")
    return [
        *(*APART, "--proc", "/proc", "--dev", "/dev"),
        *("--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *(word for tmp in TEMPORARY for word in ("--bind", str(folders.tmp), str(tmp))),
        *_bound(_readable(config)),
        *("--ro-bind", str(hosts_file(folders.ours)), str(HOSTS)),
        *("--bind", str(folders.scratch), str(folders.scratch), "--remount-ro", "/"),
        *("--", *command),
    ]


def offline(command: Sequence[str], config: CheckerSettings) -> list[str]:
    """The command that grades, with a loopback of its own; it writes temporary files and jars."""
    if config.isolation != "full":
        return list(command)
    jars = {d.resolve() for d in (config.kafka_jars_dir, config.flink_jars_dir) if d.is_dir()}
    written = sorted({*TEMPORARY, config.timing_dir.parent, *jars})  # their lock is in their folder
    return [
        *(*OFFLINE, "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"),
        *("--dev-bind", "/proc", "/proc"),
        *(word for folder in written for word in ("--bind", str(folder), str(folder))),
        *("--", *command),
    ]


def chosen(config: CheckerSettings) -> tuple[CheckerSettings, str]:
    """Return the settings with the required or the best possible isolation, and what it lacks.

    Raises UserError when the required isolation is not possible here.
    """
    asked = config.isolation
    if asked == "auto":
        best = "full" if works(OFFLINE) and works(APART) else "files" if works(APART) else "none"
        return chosen(config.model_copy(update={"isolation": best}))
    needed = {"none": (), "files": (APART,), "full": (OFFLINE, APART)}[asked]
    if not all(works(options) for options in needed):
        raise UserError(
            f"LAB_ISOLATION={asked} does not work here", "LAB_ISOLATION=auto lab grade …"
        )
    return config, {"none": NOT_ISOLATED, "files": NO_NETWORK, "full": ""}[asked]


def works(options: Sequence[str]) -> bool:
    """Return whether bubblewrap is installed and may make the namespaces that `options` name."""
    trial = [*options, "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return shutil.which("bwrap") is not None and not (
        subprocess.run(trial, capture_output=True, check=False).returncode
    )


def _readable(config: CheckerSettings) -> list[Path]:
    """Return the programs, the libraries, and our own modules that run with a submission."""
    etc = [path for name in ETC for path in sorted(Path("/etc").glob(name))]
    places = [Path(sys.prefix), Path(sys.prefix).resolve(), Path(sys.base_prefix)]
    java = [home for home in [_java_home()] if home]
    ours = [ROOT / name for name in OURS]
    named = [*map(Path, SYSTEM), *etc, *places, *java, config.flink_jars_dir, *ours]
    return [*named, config.extra_packages] if config.extra_packages else named


def _java_home() -> Path | None:
    """Return the folder of the Java that is found first."""
    java = shutil.which("java")
    return Path(java).resolve().parent.parent if java else None


def _bound(paths: Iterable[Path]) -> Iterable[str]:
    """Options that show each path that exists, a link as a link."""
    for path in dict.fromkeys(paths):
        if path.is_symlink() and path.parent == Path("/"):
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))
