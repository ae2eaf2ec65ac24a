"""Register and find the checks of an exercise."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Outcome

# The argument is a Submission, a class of a higher layer.
Check = Callable[[Any], Outcome]

_MARK = "_criterion_id"


def criterion(identifier: str) -> Callable[[Check], Check]:
    """Mark a function as the check of a criterion; its docstring is the line a learner reads."""
    if identifier not in BY_ID:
        raise ValueError(f"the brief has no criterion {identifier}")

    def mark(check: Check) -> Check:
        setattr(check, _MARK, identifier)
        return check

    return mark


def checks_in(root: Path) -> dict[str, Check]:
    """The checks of every exercise folder below `root`, by the id of their criterion."""
    found: dict[str, Check] = {}
    for file in sorted(root.glob("exercise_*/checks.py")):
        spec = importlib.util.spec_from_file_location(f"checks_of_{file.parent.name}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        marked = [value for value in vars(module).values() if hasattr(value, _MARK)]
        found.update({getattr(check, _MARK): check for check in marked})
    return found
