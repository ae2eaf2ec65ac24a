"""Hints that follow from what a submission's code said, where a check has none of its own."""

import re

from lab.grading.results import Result

MISSING = re.compile(r"No module named '([\w.]+)'")


def hint_for(result: Result) -> str:
    """The hint for a missing import; nothing where there is none."""
    missing = MISSING.search(result.message) or MISSING.search(result.log_tail)
    if missing is None:
        return ""
    return (
        f"nothing is called {missing[1]}: the grader has the packages of "
        "docs/contract.md#how-it-is-run and of `lab grade --requirements`; a module of your own "
        "belongs into an exercise's folder"
    )
