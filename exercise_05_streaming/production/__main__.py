"""Run the demonstration of the exercise with production parts: `lab run 5 --production=PART,…`.

Parts: `job` (accepted events, dead letters, savepoints), `writer` (Redis sink, retries).
`lab run 5 --stall` runs stall.py instead.
"""

import sys

from exercise_05_streaming import demo, verify
from exercise_05_streaming.production import stall
from exercise_05_streaming.production.job import PARTS
from exercise_05_streaming.production.refusals import dead_letters
from exercise_05_streaming.production.verify import differences
from exercise_05_streaming.topics import available_services
from lab.errors import UserError, run_script


def main() -> None:
    """Start the job with the parts, send payments, compare with the log, show a user."""
    if sys.argv[1:] == ["stall"]:
        stall.main()
        return
    if unknown := set(sys.argv[1:]) - set(PARTS):
        problem = f"exercise 5 has no production part {', '.join(sorted(unknown))}"
        raise UserError(problem, f"lab run 5 --production {','.join(PARTS)}")
    parts = sys.argv[1:] or PARTS
    command = ("exercise_05_streaming.production.job", "--parts", ",".join(parts))
    if "job" not in parts:
        demo.main(*command)
        return
    demo.main(*command, compare=lambda: differences(verify.stored_features))
    with available_services():
        print(dead_letters())


if __name__ == "__main__":
    run_script(main)
