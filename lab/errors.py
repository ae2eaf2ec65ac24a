"""Errors that the user can fix, separate from bugs of the lab."""

import sys
from collections.abc import Callable
from typing import NoReturn

USER_ERROR, OUR_ERROR = 2, 3  # exit statuses of the command line


class UserError(Exception):
    """One sentence: what is wrong and where; then the next command to type.

    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, problem: str, next_step: str | None = None) -> None:
        super().__init__(problem if next_step is None else f"{problem}\n  next: {next_step}")
        self.problem = problem
        self.next_step = next_step


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main; a user's mistake ends it with one sentence and status 2."""
    try:
        main()
    except UserError as error:
        exit_with(error)


def exit_with(error: UserError) -> NoReturn:
    """End the program with the error's sentence and status 2."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(USER_ERROR)
