"""Explain how a criterion is graded, and its pitfall, from the contract and the errata."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checker.verdict.brief import BY_ID, BriefCriterion
from checker.verdict.criterion import checks_in
from lab.settings import ROOT

QUESTIONS = Path(__file__).with_name("questions.toml")
CONTRACT, ERRATA = Path("docs", "contract.md"), Path("docs", "errata.md")
COLUMNS = ("id", "criterion", "needs", "what is done", "passes when", "catches")
SECTION = re.compile(r"^### (.+)\n\n((?:(?!^##).*\n?)*)", re.MULTILINE)
OVERVIEW = re.compile(r"^\| ([\d., ]+) \| \[[^\]]+\]\(#([^)]+)\) \| (.+) \|$", re.MULTILINE)
EXERCISE = re.compile(r"^## Exercise (\d)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Erratum:
    """A place where the brief misleads: its heading, the errata's text, and the consequence."""

    exercise: int
    title: str
    text: str
    overview: tuple[str, str]  # the first and the last column of its row in the table

    @property
    def link(self) -> str:
        return f"{ERRATA}#{_anchor(self.title)}"

    def names(self, identifier: str) -> bool:
        """Return whether it concerns a criterion, by the id in its row or its text."""
        mention = rf"[Cc]riteri(?:on|a)[^.]* {re.escape(identifier)}\b"
        return identifier in self.overview[0].split(", ") or bool(re.search(mention, self.text))


def explain(identifier: str, weights: Mapping[str, float]) -> str:
    """Return the page of a criterion, as Markdown."""
    item = BY_ID[identifier]
    lines = [f"# {item.id} {item.title}", "", _summary(item, weights.get(item.id, 1.0)), ""]
    for column, text in contract_row(item.id).items():
        lines += [f"**{column}**: {text}", ""]
    lines += _pitfalls(item)
    return "\n".join([*lines, f"Next: `lab check {item.exercise}`, or `lab diff {item.exercise}`"])


def hint(identifier: str) -> str:
    """Return a question about a criterion, then the command that prints its page, as Markdown."""
    question = tomllib.loads(QUESTIONS.read_text())[identifier]
    return f"{identifier}: {question}\n\nNext: `lab check {identifier} --hint --hint`, its page"


def contract_row(identifier: str) -> dict[str, str]:
    """Return the row of a criterion in the contract's table; empty without one."""
    for line in (ROOT / CONTRACT).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == identifier and len(cells) == len(COLUMNS):
            return {name: text for name, text in zip(COLUMNS[3:], cells[3:], strict=True) if text}
    return {}


def errata() -> list[Erratum]:
    """All entries, in the order of the brief."""
    content = (ROOT / ERRATA).read_text()
    rows = {anchor: (first, last) for first, anchor, last in OVERVIEW.findall(content)}
    return [
        Erratum(int(number), title.strip(), text.strip(), rows.get(_anchor(title), ("", "")))
        for number, body in EXERCISE.findall(content)
        for title, text in SECTION.findall(body)
    ]


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _summary(item: BriefCriterion, points: float) -> str:
    check = checks_in(ROOT).get(item.id)
    lines = (check.__doc__ or "").strip().splitlines()[:1] if check else ["Nothing checks it yet."]
    needs = f" Needs {', '.join(item.needs)}." if item.needs else ""
    return f"{' '.join(lines)}{needs} Worth {points:g} of the points."


def _pitfalls(item: BriefCriterion) -> list[str]:
    """The errata that name the criterion, in full, and links to the others of its exercise."""
    named = [entry for entry in errata() if entry.names(item.id)]
    lines = []
    for entry in named:
        lines += [f"## Where the brief misleads: {entry.title}", "", entry.text, "", entry.link, ""]
    others = [e for e in errata() if e.exercise == item.exercise and e not in named]
    if others:
        lines += [f"## Other pitfalls of the brief's exercise {item.exercise}", ""]
        lines += [f"- {entry.title}: {entry.overview[1]} ({entry.link})" for entry in others]
    return [*lines, ""]
