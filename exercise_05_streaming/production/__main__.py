"""Run the demonstration of the exercise with production parts: `lab run 5 --production=PART,…`.

Parts: `job` (accepted, dead letters, savepoints), `writer` (tile store, Redis sink, supervisor).
The job starts the writer, so both run together.
"""

import sys

from exercise_05_streaming import demo
from exercise_05_streaming.production.verify import recompute_tiles
from exercise_05_streaming.verify import differences
from lab.errors import UserError, run_script

PARTS = {"job", "writer"}


def main() -> None:
    """Start the production job, send payments, compare with the log, show a user."""
    if unknown := set(sys.argv[1:]) - PARTS:
        raise UserError(f"there is no part {', '.join(unknown)}", f"choose from: {PARTS}")
    demo.main("exercise_05_streaming.production.job", lambda: differences(recompute_tiles))


if __name__ == "__main__":
    run_script(main)
