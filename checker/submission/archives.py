"""Unpack untrusted ZIP files: all entries are validated before one of them is written."""

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from checker.settings import CheckerSettings
from lab.errors import UserError

IS_ENCRYPTED = 0x1
DRIVE = re.compile(r"[A-Za-z]:")
DEEPEST = 64  # folders in folders; what walks them calls itself for each
DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, OSError, ValueError, MemoryError),
)


def unpack(archive: Path, into: Path, config: CheckerSettings) -> list[str]:
    """Write the files of a ZIP file below `into`; the names of links, which are not written.

    Raises UserError when it is damaged, locked by a password, too large, or when an entry points
    outside.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [info for info in opened.infolist() if not info.is_dir()]
            _assert_fit(archive, files, config)
            for info in files:
                if not _is_link(info):
                    _write(opened, info, into / _path_of(info.filename))
    except DAMAGES as error:
        raise UserError(f"{archive} cannot be unpacked: {error}", "zip -r NEW.zip DIR") from error
    return [info.filename for info in files if _is_link(info)]


def _assert_fit(archive: Path, files: Sequence[zipfile.ZipInfo], config: CheckerSettings) -> None:
    outside = [info.filename for info in files if _points_outside(info.filename)]
    if outside:
        raise UserError(f"{archive} has an entry that points outside: {outside[0]!r}")
    if any(len(_path_of(info.filename).parts) > DEEPEST for info in files):
        raise UserError(f"{archive} has more than {DEEPEST} folders in one another")
    if any(info.flag_bits & IS_ENCRYPTED for info in files):
        raise UserError(f"{archive} is locked by a password")
    size_mib = sum(info.file_size for info in files) / 2**20
    if size_mib > config.submission_max_mib or len(files) > config.submission_max_files:
        raise UserError(
            f"{archive} holds {len(files)} files of {size_mib:.0f} MiB; at most "
            f"{config.submission_max_files} of {config.submission_max_mib:g} MiB are taken",
            "leave data and environments out of it",
        )


def _path_of(name: str) -> PurePosixPath:
    """The path of an entry; some tools of Windows separate its parts by backslashes."""
    return PurePosixPath(name.replace("\\", "/"))


def _points_outside(name: str) -> bool:
    path = _path_of(name)
    return path.is_absolute() or ".." in path.parts or DRIVE.match(name) is not None


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> None:
    """No more is read than the entry declared."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as packed, file.open("wb") as written:
        shutil.copyfileobj(packed, written)
