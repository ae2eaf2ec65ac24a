"""Classroom 50's result.json (its wiki, Advanced Autograding, "The result.json contract")."""

import json
import os
from typing import Any

from checker.render.text import lines_of
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard
from lab.errors import UserError

IDENTITY = {  # its runner sets the variables
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}
HUNDREDTHS = 100


def render(card: Scorecard) -> str:
    """Return JSON for ./result.json: a test per criterion, without those that an error left open.

    Scores are integers there: points, or hundredths of points where a weight has a fraction.
    Raises UserError outside Classroom 50's runner.
    """
    identity = {field: os.environ.get(name, "") for field, name in IDENTITY.items()}
    identity["review"] = identity["review"] or identity["commit"]
    if missing := [IDENTITY[field] for field, value in identity.items() if not value]:
        raise UserError(
            f"Classroom 50's runner sets {', '.join(missing)}, which this environment lacks",
            "use docs/autograders/classroom50.py in its runner",
        )
    graded = [result for result in card.results if result.status is not Status.ERROR]
    scale = 1 if all(float(result.weight).is_integer() for result in graded) else HUNDREDTHS
    tests = [_test(card, result, scale) for result in graded]
    results = {
        "schema": "classroom50/result/v1",
        **identity,
        "datetime": card.provenance.graded_at,
        "graded_at": card.provenance.graded_at,
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }
    return json.dumps(results, indent=2) + "\n"


def _test(card: Scorecard, result: Result, scale: int) -> dict[str, Any]:
    return {
        "test-name": f"{result.criterion.id} {result.criterion.title}",
        "passed": result.status is Status.PASS,
        "score": round(result.points * scale),
        "max-score": round(result.weight * scale),
        "output": "\n".join(lines_of(card, result)),
    }
