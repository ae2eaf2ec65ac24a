"""A verdict in plain lines, for forms that have one field of text per test."""

from collections.abc import Sequence

from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard

OUR_FAULT = (
    "the grader's own fault, or a machine too busy to time anything: not counted against you"
)


def headline(result: Result) -> str:
    """The shortest reason for a verdict."""
    if result.status is Status.ERROR:
        return f"{OUR_FAULT}: {result.message}"
    return result.message or result.measured or result.status.label


def reason(result: Result) -> str:
    """The reason in one line: why it failed, next to what was measured and required."""
    if result.status is not Status.FAIL:
        return result.measured or headline(result)
    needed = f"required: {result.required}" if result.measured and result.required else ""
    return "; ".join(filter(None, (result.message, result.measured, needed)))


def most_points(results: Sequence[Result]) -> float:
    """The points that results can have, without the criteria that an error of ours left open."""
    return sum(result.weight for result in results if result.status is not Status.ERROR)


def points_of(results: Sequence[Result]) -> str:
    """Points of those that are possible, and how many criteria an error of ours left open."""
    errors = sum(result.status is Status.ERROR for result in results)
    points = f"{sum(r.points for r in results):g} of {most_points(results):g}"
    return f"{points}, {errors} not graded" if errors else points


def lines_of(card: Scorecard, result: Result) -> list[str]:
    """Measured, required, why, counter-examples, hint, notes, the log's end, how to replay it."""
    named = {
        "status": result.status.label,
        "measured": result.measured,
        "required": result.required,
        "why": result.message,
        "hint": result.hint,
    }
    lines = [f"{name}: {text}" for name, text in named.items() if text]
    lines += [
        f"for {example.input}: expected {example.expected}, got {example.got}"
        for example in result.examples
    ]
    lines += [f"note: {note}" for note in result.notes]
    if result.log_tail:
        lines += ["their last lines:", result.log_tail]
    return [*lines, f"replay: {card.replay(result)}"]
