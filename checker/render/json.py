"""The scorecard as it is kept: the one form from which all others can be made again."""

from checker.verdict.results import Scorecard


def render(card: Scorecard) -> str:
    """JSON, UTF-8; `checker.verdict.results.read_scorecard` reads it back."""
    return card.as_json()
