"""The stored form of a scorecard, from which all others can be rendered."""

from checker.verdict.results import Scorecard


def render(card: Scorecard) -> str:
    """JSON, UTF-8; `checker.verdict.results.read_scorecard` reads it back."""
    return card.as_json()
