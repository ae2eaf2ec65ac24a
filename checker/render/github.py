"""A GitHub job summary: Markdown of less than 1 MiB, which is all that a step may write."""

import re
from collections.abc import Iterator

from checker.render.text import headline, lines_of
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard

LIMIT_BYTES = 1024 * 1024 - 1024
SIGNS = {
    Status.PASS: "✅",
    Status.FAIL: "❌",
    Status.SKIPPED: "⏭️",
    Status.NOT_ATTEMPTED: "▫️",
    Status.ERROR: "⚠️",
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~@:$-])")
LEFT_OUT = "\n… more details were left out; the scorecard has them all.\n"


def render(card: Scorecard) -> str:
    """Markdown: the table of criteria, then the details of each that failed, as far as they fit."""
    text, size = "", 0
    for part in _parts(card):
        size += len(part.encode())
        if size > LIMIT_BYTES:
            return text + LEFT_OUT
        text += part
    return text


def _parts(card: Scorecard) -> Iterator[str]:
    yield f"## {_inline(card.submission)}: {card.summary}\n\n"
    yield "| | id | criterion | measured |\n|---|---|---|---|\n"
    for result in card.results:
        text = _inline(result.measured or headline(result))
        title = _inline(result.criterion.title)
        yield f"| {SIGNS[result.status]} | {result.criterion.id} | {title} | {text} |\n"
    for result in card.results:
        if result.status in (Status.FAIL, Status.ERROR):
            yield _details(card, result)
    yield f"\nHidden data: seed {card.seed}. Grader {_inline(card.provenance.grader_version)}.\n"


def _details(card: Scorecard, result: Result) -> str:
    heading = f"{SIGNS[result.status]} {result.criterion.id} {_inline(result.criterion.title)}"
    text = "\n".join(lines_of(card, result))
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 3)
    return f"\n### {heading}\n\n{fence}text\n{text}\n{fence}\n"


def _inline(text: str) -> str:
    """Text that stays text in Markdown: no markup, no mention, no HTML, on one line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(MARKDOWN.sub(r"\\\1", escaped).split())
