"""Compare the code of a class: each submission with the solution, and with the others.

Winnowing over normalized code, by copydetect: names, texts and comments do not count.
"""

import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from checker.render.copies import SOLUTION, Copy
from checker.run.time_limit import time_limit
from checker.submission.copying import EXERCISE_FOLDER
from checker.submission.workspace import STARTER
from checker.verdict.outcome import SubmissionError
from checker.verdict.plain_text import UNSHOWABLE
from lab.settings import ROOT

KGRAM = 40  # characters of normalized code: two or three lines
NOTED = 0.3  # right solutions in other styles share at most 0.16 with each other
FEWEST = 400  # characters of normalized code; below, two solutions may well be the same
LARGEST = 400_000
LIMIT_S = 600
NOT_COMPARED = {"checks.py", "production", "data", "build", ".venv"}


def copies_in(folders: Mapping[str, Path], exercises: list[int]) -> list[Copy]:
    """Return where a noted share of a submission's code is in the solution, or in another's.

    An exercise that takes too long is left out, which a line on standard error reports.
    """
    found: list[Copy] = []
    for exercise in exercises:
        try:
            with time_limit(LIMIT_S):
                found += _copies(folders, exercise)
        except SubmissionError as error:
            problem = f"exercise {exercise} was not compared for similar code, {error}"
            print(problem, file=sys.stderr)
    return found


def _copies(folders: Mapping[str, Path], exercise: int) -> Iterator[Copy]:
    from copydetect import CopyDetector

    with tempfile.TemporaryDirectory(prefix="lab-copies-") as scratch:
        compared = CopyDetector(
            noise_t=KGRAM, guarantee_t=KGRAM, display_t=NOTED, silent=True, truncate=True
        )
        owners = {}
        for number, (owner, root) in enumerate({**folders, SOLUTION: ROOT}.items()):
            file = Path(scratch, f"{number}.py")
            file.write_text(_code(root, exercise))
            compared.add_file(str(file), "ref" if owner == SOLUTION else "testref")
            owners[str(file)] = owner
        starter = Path(scratch, "starter.py")
        starter.write_text(_code(STARTER, exercise))
        compared.add_file(str(starter), "boilerplate")
        logging.disable()  # it logs as errors that nothing is there to compare
        compared.run()
        logging.disable(logging.NOTSET)
        for share, other_share, file, other, code, other_code, _ in compared.get_copied_code_list():
            if compared.file_data[file].token_coverage > FEWEST:
                shares = float(share), float(other_share)
                yield Copy(exercise, owners[file], owners[other], *shares, code, other_code)


def _code(root: Path, exercise: int) -> str:
    """Return the scripts of an exercise, each after a comment with its path."""
    parts = []
    for folder in sorted(root.iterdir()):
        match = EXERCISE_FOLDER.match(folder.name)
        for file in sorted(folder.rglob("*.py")) if match and int(match[1]) == exercise else ():
            path = file.relative_to(root)
            if file.is_file() and not NOT_COMPARED & set(path.parts):
                parts.append(f"# {path}\n{file.read_text(errors='replace')}")
    return UNSHOWABLE.sub("\ufffd", "\n\n".join(parts)[:LARGEST])
