"""The page that compares submissions: a column each, a row per criterion and per figure."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from checker.render.html import page
from checker.render.text import headline
from checker.verdict.brief import CRITERIA, EXERCISES

if TYPE_CHECKING:
    from checker.render.comparison import Column, Figure

SCRIPT = Path(__file__).parent / "templates" / "compare.js"


def render(columns: Sequence["Column"], figures: Sequence["Figure"]) -> str:
    """HTML; its one script is our own, and the page lets no other run."""
    script = SCRIPT.read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return page(
        "compare.html",
        columns=columns,
        criteria=CRITERIA,
        exercises=EXERCISES,
        figures=figures,
        headline=headline,
        fixed=1 + sum(column.is_reference for column in columns),
        script=Markup(script),
        script_hash=Markup(f"'sha256-{digest}'"),
    )
