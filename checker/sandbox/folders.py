"""The folders of a sandbox, and how they are emptied between two submissions."""

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

AT_ONCE = 500
OURS = "ours"
# What stands for /tmp in a sandbox stands for these.
TEMPORARY = sorted({Path("/tmp"), Path(tempfile.gettempdir())})


@dataclass
class Folders:
    """The folders that submissions write, the one in place of /tmp, and the hidden ones."""

    root: Path
    _mounted: list[Path] = field(default_factory=list)

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def ours(self) -> Path:
        return self.root / OURS

    def make(self) -> None:
        """Make them, with nothing in them."""
        for folder in (self.scratch, self.tmp, self.ours):
            folder.mkdir()
        self.own_tmp.mkdir()

    @property
    def own_tmp(self) -> Path:
        """The usual place for temporary files of a submission."""
        return self.scratch / "tmp"

    def note_mounts(self) -> None:
        """Take what is in the folder for /tmp now for places where something is mounted."""
        self._mounted = list(self.tmp.rglob("*"))

    def empty(self) -> None:
        """Remove what a submission has left; without its place, a mounted folder would go."""
        _empty(self.scratch)
        _empty(self.tmp, self._mounted)
        self.own_tmp.mkdir()


def remove(folder: Path) -> None:
    """Remove it, whatever a submission has left in it."""
    # A process that escaped may still write there; that must not end the grading.
    with suppress(subprocess.CalledProcessError):
        _remove([folder])


def _empty(folder: Path, kept: Sequence[Path] = ()) -> None:
    """Remove all paths except those in `kept`."""
    doomed = []
    for item in folder.iterdir():
        if item in kept:
            if item.is_dir():
                _empty(item, kept)
        elif item.is_dir() and not item.is_symlink():
            doomed.append(item)
        else:
            item.unlink()
    for first in range(0, len(doomed), AT_ONCE):
        _remove(doomed[first : first + AT_ONCE])


def _remove(folders: Sequence[Path]) -> None:
    """By `rm`, which no depth and no length of a path stops."""
    subprocess.run(["chmod", "-R", "u+rwx", "--", *folders], capture_output=True, check=False)
    subprocess.run(["rm", "-rf", "--", *folders], check=True)
