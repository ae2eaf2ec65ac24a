"""Read and write a submission's files: regular ones in its own folder, whatever its links."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq

from checker.verdict.outcome import SubmissionError

LOG_BYTES = 256 * 2**10
MOST_CELLS = 50_000_000
MOST_CSV_BYTES = 256 * 2**20
LONGEST_LINE = 64 * 2**20
COMPARABLE = ("string", "boolean", "empty")


def opened(path: Path, folder: Path) -> AbstractContextManager[IO[bytes]]:
    """A file, of which it is sure, once it is open, that it lies in `folder` and has an end.

    Raises SubmissionError otherwise; a link may be put there at any moment.
    """
    return _opened(path, folder, os.O_RDONLY)


@contextmanager
def written(path: Path, folder: Path) -> Iterator[IO[bytes]]:
    """Open a file to overwrite, with the same guarantees; the folders above it are made."""
    place = inside(path, folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubmissionError(f"{path.name} cannot be written: {error.strerror}") from error
    with _opened(place, folder, os.O_WRONLY | os.O_CREAT) as file:
        file.truncate()
        yield file


def content(path: Path, folder: Path) -> bytes:
    """All that a file of the submission holds."""
    with opened(path, folder) as file:
        return file.read()


def inside(path: Path, folder: Path, called: str = "") -> Path:
    """Return the target of a path; SubmissionError, named `called` if given, outside `folder`."""
    try:
        place = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a name that is none
        raise SubmissionError(f"{called or path.name} leads nowhere: {error}") from error
    if not _lies_in(place, folder):
        raise SubmissionError(f"{called or path.name} is outside the folder of the submission")
    return place


@contextmanager
def _opened(path: Path, folder: Path, flags: int) -> Iterator[IO[bytes]]:
    do, mode = ("written", "wb") if flags & os.O_WRONLY else ("read", "rb")
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise SubmissionError(f"{path.name} cannot be {do}: {error.strerror}") from error
    with os.fdopen(descriptor, mode) as file:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not (is_file and _lies_in(_place(descriptor, path), folder)):
            raise SubmissionError(f"{path.name} is not a file of the submission")
        yield file


def _lies_in(place: Path, folder: Path) -> bool:
    """Return whether a place is below a folder, which may have been replaced by a link."""
    return place.is_relative_to(folder.parent.resolve() / folder.name)


def _place(descriptor: int, path: Path) -> Path:
    """Return the path of an open file: the kernel's, on systems that provide it."""
    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except FileNotFoundError:
        return path.resolve()


def end_of(path: Path, since: int = 0) -> str:
    """The last text of a log of the submission, after `since` bytes; empty when there is none."""
    if not os.path.lexists(path):
        return ""
    try:
        with opened(path, path.parent) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LOG_BYTES, since))
            return file.read(LOG_BYTES).decode(errors="replace")
    except SubmissionError as error:
        return error.message


def table(path: Path, folder: Path) -> pd.DataFrame:
    """A table of Parquet or CSV; whatever is wrong with it is the submission's mistake.

    It holds numbers, truth values, times and texts: what is neither has become a text.
    """
    with opened(path, folder) as file:
        try:
            if path.suffix == ".csv":
                if os.fstat(file.fileno()).st_size > MOST_CSV_BYTES:
                    raise SubmissionError(f"{path.name} is too large")
                return _comparable(_without_row_numbers(pd.read_csv(file)))
            said = pq.ParquetFile(file).metadata
            if said.num_rows * said.num_columns > MOST_CELLS:
                raise SubmissionError(f"a table of {said.num_rows} rows is too large")
            file.seek(0)
            return _comparable(pd.read_parquet(file))
        except SubmissionError:
            raise
        except Exception as error:
            raise SubmissionError(f"a table that cannot be read: {error!s:.200}") from error


def _without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the index, which pandas writes as a first column without a name."""
    return frame.drop(columns=[name for name in frame.columns[:1] if name == "Unnamed: 0"])


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    frame.columns = pd.Index([str(name) for name in frame.columns])
    frame = frame.loc[:, ~frame.columns.duplicated()]
    return frame.assign(**{name: _comparable_values(frame[name]) for name in frame})


def _comparable_values(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if values.dtype.kind in "mO" and pd.api.types.infer_dtype(values) not in COMPARABLE:
        return values.map(str, na_action="ignore")
    return values


def parsed(text: str | bytes) -> Any:
    """JSON; whole numbers that no float can hold are infinite, so that all can be compared.

    Raises ValueError or RecursionError.
    """
    return json.loads(text, parse_int=_whole_number)


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) < sys.float_info.max_10_exp else float(digits)


def reply(line: str) -> dict[str, Any]:
    """A line of a child as an object; SubmissionError for anything else."""
    try:
        value = parsed(line)
    except (ValueError, RecursionError) as error:
        raise SubmissionError("an answer that is no JSON") from error
    if not isinstance(value, dict):
        raise SubmissionError("an answer that is no JSON object")
    return value


def plain(value: object) -> object:
    """A number or a text; whatever else an answer holds, as text."""
    if isinstance(value, bool):
        return int(value)
    return value if value is None or isinstance(value, int | float | str) else str(value)
