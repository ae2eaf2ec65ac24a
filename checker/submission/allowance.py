"""How much of a submission is copied: each file is counted by its length before it is read."""

import shutil
from pathlib import Path

from checker.settings import CheckerSettings
from lab.errors import UserError


class Allowance:
    """The bytes and files that a submission may have; a sparse file counts with its whole length.

    `copy` copies a file as shutil.copy2 does, and raises UserError where that is too much.
    """

    def __init__(self, name: str, config: CheckerSettings) -> None:
        self._name, self._config = name, config
        self._files, self._bytes = 0, 0

    def copy(self, source: str, target: str) -> str:
        self._files += 1
        self._bytes += Path(source).stat().st_size
        most, most_mib = self._config.submission_max_files, self._config.submission_max_mib
        if self._files > most or self._bytes > most_mib * 2**20:
            raise UserError(
                f"{self._name} has {self._files} files of {self._bytes / 2**20:.0f} MiB, or more; "
                f"at most {most} of {most_mib:g} MiB are taken",
                "leave data and environments out of it",
            )
        return str(shutil.copy2(source, target))
