"""A process that grades submissions, one after the other, for `lab grade`.

It reads a job per line, {"folder": …, "ids": […]}, and answers in lines: each result as soon as it
is there, then the scorecard. Who asks keeps the results when this process dies.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.grading.results import Result
from lab.grading.runner import grader


def main() -> None:
    """Grade on hidden data of the seed that is the first argument, until standard input ends."""
    with grader(int(sys.argv[1])) as judge:
        for line in sys.stdin:
            job = json.loads(line)
            try:
                card = judge.grade(Path(job["folder"]), job["ids"], tell_result)
                tell(card=card.as_dict())
            except UserError as error:
                tell(refused=error.problem)


def tell_result(result: Result) -> None:
    tell(result=result.as_dict())


def tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
