"""Run exercise 3 with production parts: python -m exercise_03_materialize.production [part ...].

`stores` selects the plug-ins, `journal` a backfill that resumes after a kill; without names, both.
"""

import os
import sys

from exercise_03_materialize import materialize
from exercise_03_materialize.production.journal import resumable_backfill
from lab import learn
from lab.errors import UserError, run_script

PARTS = ("stores", "journal")


def run_parts(names: list[str]) -> None:
    """Run the exercise with the named parts, all without names."""
    if unknown := set(names) - set(PARTS):
        problem = f"exercise 3 has no production part {', '.join(sorted(unknown))}"
        raise UserError(problem, f"lab run 3 --production {','.join(PARTS)}")
    parts = set(names or PARTS)
    if "stores" in parts:
        os.environ["LAB_STORES"] = "plugins"
        learn.LearnerSettings.__init__(learn.settings)  # reads the environment again
    backfill = resumable_backfill if "journal" in parts else materialize.backfill_features
    materialize.main(backfill)


def main() -> None:
    run_parts(sys.argv[1:])


if __name__ == "__main__":
    run_script(main)
