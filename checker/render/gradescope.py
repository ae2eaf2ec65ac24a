"""Gradescope's results.json (gradescope-autograders.readthedocs.io, Autograder Specifications)."""

import json
from typing import Any

from checker.render.text import headline, lines_of, points_of
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard


def render(card: Scorecard) -> str:
    """JSON for /autograder/results/results.json: a test per criterion, visible to the learner.

    A criterion that an error of ours left open is no test; the output names it.
    """
    graded = [result for result in card.results if result.status is not Status.ERROR]
    errors = [result for result in card.results if result.status is Status.ERROR]
    not_graded = [f"{result.criterion.id}: {headline(result)}" for result in errors]
    results = {
        "score": card.score,
        "execution_time": round(card.seconds),
        "output": "\n".join([f"{card.summary}; {points_of(card.results)} points", *not_graded]),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(card, result) for result in graded],
        "extra_data": {"submission": card.submission, "seed": card.seed, **vars(card.provenance)},
    }
    return json.dumps(results, indent=2) + "\n"


def _test(card: Scorecard, result: Result) -> dict[str, Any]:
    return {
        "number": result.criterion.id,
        "name": result.criterion.title,
        "score": result.points,
        "max_score": result.weight,
        "status": "passed" if result.status is Status.PASS else "failed",
        "output": "\n".join(lines_of(card, result)),
        "output_format": "text",
        "tags": [f"exercise {result.criterion.exercise}", result.status.value],
        "visibility": "visible",
    }
