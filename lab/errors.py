"""Errors that are the user's to mend, told apart from our own bugs."""


class UserError(Exception):
    """One sentence: what is wrong and where; then the next command to type.

    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, problem: str, next_step: str | None = None) -> None:
        super().__init__(problem if next_step is None else f"{problem}\n  next: {next_step}")
        self.problem = problem
        self.next_step = next_step
