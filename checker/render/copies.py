"""Similar code among submissions, and in the solution: noted in the comparison, never scored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from markupsafe import Markup

from checker.render import html
from checker.verdict.results import write_whole
from lab.errors import UserError

FILE, PAGE = "copies.json", "copies.html"
SOLUTION = "the solution"


@dataclass(frozen=True)
class Copy:
    """Two submissions with similar code of an exercise: the share of each that is in the other.

    The codes are HTML, escaped, with the matching lines marked.
    """

    exercise: int
    submission: str
    other: str
    share: float
    other_share: float
    code: str
    other_code: str

    def sentence(self, name: str) -> str:
        """Describe what one of the two shares with the other."""
        is_first = name == self.submission
        other, share = (self.other, self.share) if is_first else (self.submission, self.other_share)
        return f"{min(share, 1):.0%} of exercise {self.exercise} as in {other}"


def write_copies(copies: Sequence[Copy], out: Path) -> None:
    """Write what was found into the folder of a class."""
    write_whole(out / FILE, json.dumps([asdict(copy) for copy in copies], indent=2) + "\n")


def read_copies(paths: Sequence[Path]) -> list[Copy]:
    """Read what was found, from the folders that hold it; the highest shares first."""
    files = [path / FILE for path in paths if (path / FILE).is_file()]
    found = [copy for file in files for copy in _read(file)]
    return sorted(found, key=lambda copy: (-copy.share, copy.submission, copy.exercise))


def _read(file: Path) -> list[Copy]:
    try:
        return [Copy(**values) for values in json.loads(file.read_text())]
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} is not of lab grade", f"rm {file}") from error


def similar_code(copies: Sequence[Copy], name: str) -> list[str]:
    """Return a sentence on each copy that a submission is part of, the highest share first."""
    return [copy.sentence(name) for copy in copies if name in (copy.submission, copy.other)]


def page_of(copies: Sequence[Copy]) -> str:
    """HTML: each two submissions with similar code, side by side."""
    return html.page("copies.html", copies=copies, markup=Markup)
