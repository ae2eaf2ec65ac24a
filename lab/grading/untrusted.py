"""Reads what a submission wrote: a regular file in its own folder, and no more than a limit."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow.parquet as pq

from lab.grading.outcome import SubmissionError

LOG_BYTES = 64 * 2**10
MOST_CELLS = 50_000_000
LONGEST_LINE = 64 * 2**20


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[BinaryIO]:
    """A file, of which it is sure, once it is open, that it lies in `folder` and has an end.

    Raises SubmissionError otherwise; a link may be put there at any moment.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise SubmissionError(f"{path.name} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not (is_file and _place(descriptor, path).is_relative_to(folder.resolve())):
            raise SubmissionError(f"{path.name} is not a file of the submission")
        yield file


def _place(descriptor: int, path: Path) -> Path:
    """Where an open file lies: by the kernel's word, on systems that give it."""
    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except FileNotFoundError:
        return path.resolve()


def end_of(path: Path) -> str:
    """The last text of a log of the submission; empty when there is none."""
    if not os.path.lexists(path):
        return ""
    try:
        with opened(path, path.parent) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LOG_BYTES, 0))
            return file.read(LOG_BYTES).decode(errors="replace")
    except SubmissionError as error:
        return error.message


def table(path: Path, folder: Path) -> pd.DataFrame:
    """A table of Parquet; whatever is wrong with it is the submission's mistake."""
    with opened(path, folder) as file:
        try:
            said = pq.ParquetFile(file).metadata
            if said.num_rows * said.num_columns > MOST_CELLS:
                raise SubmissionError(f"a table of {said.num_rows} rows is too large")
            file.seek(0)
            return pd.read_parquet(file)
        except SubmissionError:
            raise
        except Exception as error:
            raise SubmissionError(f"a table that cannot be read: {error!s:.200}") from error


def reply(line: str) -> dict[str, Any]:
    """A line of a child as an object; SubmissionError for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SubmissionError("an answer that is no JSON") from error
    if not isinstance(value, dict):
        raise SubmissionError("an answer that is no JSON object")
    return value
