"""The scorecard as a table, and each failure with its next step."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from checker.render.explain import errata
from checker.render.text import most_points
from checker.verdict.brief import EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard

SIGNS = {
    Status.PASS: "[green]✓ pass[/]",
    Status.FAIL: "[red]✗ fail[/]",
    Status.SKIPPED: "[yellow]– skipped[/]",
    Status.NOT_ATTEMPTED: "[dim]· not attempted[/]",
    Status.ERROR: "[magenta]! error[/]",
}

BAR_WIDTH = 35
TRACEABLE = ("2.4", "3.4", "4.1", "5.3")  # a value differs from the events


def show(card: Scorecard, console: Console) -> None:
    """Print the whole scorecard: the table, then what to mend."""
    table = Table(
        title=f"{escape(card.submission)}: scorecard", title_justify="left", box=box.SIMPLE
    )
    for heading in ("", "criterion", "status", "measured"):
        table.add_column(heading, overflow="fold")
    for number, title in EXERCISES.items():
        add_exercise(table, number, title, card.of_exercise(number))
    console.print(table)
    for line in about_data(card):
        console.print(line, highlight=False)
    for result in card.results:
        if result.status in (Status.FAIL, Status.ERROR):
            show_failure(result, console)
    console.print(f"{bar(card)} {card.summary}", highlight=False)
    if to_begin := first_to_begin(card):
        console.print(f"  next: lab check {to_begin.criterion.id} --hint", highlight=False)


def first_to_begin(card: Scorecard) -> Result | None:
    """Return the first criterion that is not attempted, if no attempt fails."""
    if card.count(Status.FAIL) or card.count(Status.ERROR):
        return None
    return next((r for r in card.results if r.status is Status.NOT_ATTEMPTED), None)


def bar(card: Scorecard) -> str:
    """The share of points, as a bar of text."""
    most = most_points(card.results)
    filled = round(BAR_WIDTH * card.score / most) if most else 0
    return f"[green]{'█' * filled}[/][dim]{'░' * (BAR_WIDTH - filled)}[/]"


def add_exercise(table: Table, number: int, title: str, results: list[Result]) -> None:
    """A heading and a row per criterion; one row where nothing was attempted."""
    if not results:
        return
    table.add_section()
    if all(result.status is Status.NOT_ATTEMPTED for result in results):
        table.add_row(str(number), f"[bold]{title}[/]", SIGNS[Status.NOT_ATTEMPTED])
        return
    passed = sum(result.status is Status.PASS for result in results)
    table.add_row(str(number), f"[bold]{title}[/]", f"{passed} of {len(results)}")
    for result in results:
        text = escape(result.measured or result.message)
        table.add_row(result.criterion.id, result.criterion.title, SIGNS[result.status], text)


def about_data(card: Scorecard) -> list[str]:
    """Describe the source of the hidden data, unless it is the simulator."""
    lines = []
    if card.data.get("shifted_weeks"):
        weeks, source = card.data["shifted_weeks"], card.data["source"]
        lines.append(f"hidden data: users of {source}, all times moved by {weeks} whole weeks")
    if card.data.get("not_critical"):
        names = ", ".join(card.data["not_critical"])
        lines.append(f"not in the source, so null and not critical: {names}")
    return lines


def show_failure(result: Result, console: Console) -> None:
    """Print what was measured against what is required, counter-examples, a hint, the errata."""
    console.print(
        f"\n{SIGNS[result.status]} [bold]{result.criterion.id} {result.criterion.title}[/]"
    )
    lines = {
        "measured": result.measured,
        "required": result.required,
        "why": result.message,
        "hint": result.hint,
    }
    for name, text in lines.items():
        if text:
            console.print(f"  {name}: {escape(text)}", highlight=False)
    for example in result.examples:
        console.print(
            f"  for {escape(example.input)}: expected {escape(example.expected)}, "
            f"got {escape(example.got)}",
            highlight=False,
        )
    for erratum in (entry for entry in errata() if entry.names(result.criterion.id)):
        console.print(f"  the brief: {erratum.title} ({erratum.link})", highlight=False)
    if result.log_tail:
        console.print(f"  their last lines:\n{escape(result.log_tail)}", highlight=False)
    if result.criterion.id in TRACEABLE and result.examples:
        console.print("  on your own data: lab why USER FEATURE --at TIME", highlight=False)
    console.print(f"  next: lab check {result.criterion.id} --hint", highlight=False)
