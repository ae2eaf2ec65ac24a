"""Errors that the user can fix, separate from bugs of the lab."""

import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

USER_ERROR, OUR_ERROR = 2, 3  # exit statuses of the command line
TODO = re.compile(
    r"^ *# (TODO \d+: .+(?:\n *#  +.+)*)\n(?P<stub> *raise NotImplementedError$)?", re.M
)


class UserError(Exception):
    """One sentence: what is wrong and where; then the next command to type.

    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, problem: str, next_step: str | None = None) -> None:
        super().__init__(problem if next_step is None else f"{problem}\n  next: {next_step}")
        self.problem = problem
        self.next_step = next_step


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main; a user's mistake ends it with one sentence and status 2.

    So does a function that is still to be written: the sentence names the first TODO of its file.
    """
    try:
        main()
    except UserError as error:
        exit_with(error)
    except NotImplementedError as error:
        *_, raised = traceback.extract_tb(error.__traceback__)
        todo = next_todo(Path(raised.filename))
        if todo is None:
            raise
        exit_with(UserError(todo))


def script(main: Callable[[], None]) -> Callable[[], None]:
    """Decorate the last function of a file: it runs with the file, and not when it is imported."""
    if main.__module__ == "__main__":
        run_script(main)
    return main


def next_todo(file: Path, *, is_begun: bool = True) -> str | None:
    """Return place and text of the first TODO above `raise NotImplementedError`; else None.

    Of a file that is not begun, the first TODO of all.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    todos = (todo for todo in TODO.finditer(text) if todo["stub"] or not is_begun)
    found = next(todos, None)
    if found is None:
        return None
    line = text.count("\n", 0, found.start(1)) + 1
    todo = re.sub(r"\n *# +", " ", found[1])
    place = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{place}:{line}: {todo}"


def exit_with(error: UserError) -> NoReturn:
    """End the program with the error's sentence and status 2."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(USER_ERROR)
