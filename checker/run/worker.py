"""A process that grades submissions, one after the other, for `lab grade`.

It reads the seed and a folder for its files, then a job per line, {"folder": …, "ids": […]}, and
prints lines: each result as soon as it is there, then the scorecard. The parent stores the results,
also when this process dies.
"""

import json
import sys
from pathlib import Path
from typing import Any

from checker.run.runner import grader
from checker.sandbox.kernel_objects import refuse_kernel_objects
from checker.sandbox.limits import limit_own_memory
from checker.settings import CheckerSettings
from checker.verdict.results import Result
from lab.errors import UserError


def main() -> None:
    """Grade on hidden data of the seed in the first line, until standard input ends.

    Any process of the machine can read a command's arguments, submissions too.
    """
    config = CheckerSettings()
    limit_own_memory(config.memory_limit_gib)
    refuse_kernel_objects()
    begin = json.loads(sys.stdin.readline())
    own_network, within = config.isolation == "full", Path(begin["within"])
    with grader(config, begin["seed"], own_network=own_network, within=within) as by:
        for line in sys.stdin:
            job = json.loads(line)
            try:
                card = by.grade(Path(job["folder"]), job["ids"], send_result)
                send(card=card.as_dict())
            except UserError as error:
                send(refused=error.problem)


def send_result(result: Result) -> None:
    send(result=result.as_dict())


def send(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
