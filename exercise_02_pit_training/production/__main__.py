"""python -m exercise_02_pit_training.production [leakage]: measure what leakage costs."""

import sys

from exercise_02_pit_training.production import leakage
from lab.errors import UserError, run_script


def main() -> None:
    if unknown := set(sys.argv[1:]) - {"leakage"}:
        problem = f"exercise 2 has no production part {', '.join(sorted(unknown))}"
        raise UserError(problem, "lab run 2 --production leakage")
    leakage.main()


if __name__ == "__main__":
    run_script(main)
