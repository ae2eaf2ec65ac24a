"""A file system for submissions: all of it can be read but what is private, one folder written.

bubblewrap makes it, in a mount and a user namespace of its own: without capabilities, and with no
way into the memory or the files of processes outside. The network stays that of the machine.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.errors import UserError
from lab.grading.hosts import HOSTS, hosts_file
from lab.settings import Settings, settings

PRIVATE = (".ssh", ".gnupg", ".aws", ".azure", ".config", ".docker", ".kube")
NOT_ISOLATED = (
    "no isolation: submissions can read what you can read; LAB_ISOLATION=files gives them a file "
    "system of their own"
)


def isolated(command: Sequence[str], scratch: Path, config: Settings) -> list[str]:
    """The command that runs `command` isolated, or itself where that is not asked for.

    It may write below `scratch` only; /tmp is a folder of `scratch` to it. Raises UserError where
    that is not possible.
    """
    if config.isolation == "none":
        return list(command)
    assert_works()
    own_tmp = scratch / "tmp"
    own_tmp.mkdir()
    temporary = {"/tmp", tempfile.gettempdir()}
    needed = [settings.root, Path(sys.prefix), Path(sys.base_prefix), config.extra_packages]
    hidden = [config.data_dir, *(Path.home() / name for name in PRIVATE)]
    return [
        *("bwrap", "--unshare-user", "--unshare-ipc", "--unshare-uts"),
        *("--ro-bind", "/", "/", "--dev", "/dev"),
        *(word for folder in sorted(temporary) for word in ("--bind", str(own_tmp), folder)),
        *(word for folder in needed if folder for word in ("--ro-bind", str(folder), str(folder))),
        *("--bind", str(scratch), str(scratch)),
        *("--ro-bind", str(hosts_file(scratch)), str(HOSTS)),
        *(word for folder in hidden if folder.is_dir() for word in ("--tmpfs", str(folder))),
        *("--", *command),
    ]


def assert_works() -> None:
    """Raise UserError where bubblewrap is not there or may not make namespaces."""
    trial = ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"]
    if shutil.which("bwrap") is None or subprocess.run(trial, capture_output=True).returncode:
        raise UserError("bubblewrap (bwrap) does not work here", "LAB_ISOLATION=none lab grade …")
