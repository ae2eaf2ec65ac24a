"""A page per scorecard, in one file: no script, no request to anywhere, light and dark."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from checker.render.text import headline, most_points, points_of
from checker.verdict.brief import EXERCISES
from checker.verdict.results import Scorecard

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(card: Scorecard) -> str:
    """HTML; all that a submission wrote is escaped."""
    return page(
        "scorecard.html",
        card=card,
        headline=headline,
        points=points_of(card.results),
        most=most_points(card.results),
        exercises={n: (title, card.of_exercise(n)) for n, title in EXERCISES.items()},
    )


def page(template: str, **values: Any) -> str:
    """A page of our own templates; whatever it is given is escaped."""
    return PAGES.get_template(template).render(**values)
