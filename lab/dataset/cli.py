"""lab data: simulate, import, advance, show, features."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from lab import dataset
from lab.dataset import manifest
from lab.dataset.advance import advance as advance_dataset
from lab.dataset.features import build_feature_tables
from lab.dataset.importer import (
    Preview,
    floor_hour,
    import_complete_journey,
    import_table,
    preview_table,
)
from lab.dataset.manifest import Manifest
from lab.dataset.mapping import KNOWN, ImportOptions
from lab.dataset.simulate import simulate as simulate_dataset
from lab.dataset.tables import REFUSED
from lab.errors import UserError
from lab.settings import settings, utc_now

data_app = typer.Typer(help="The data: raw events, and the feature tables computed from them.")


DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?")


@data_app.command()
def simulate(
    transactions: Annotated[int, typer.Option(min=1)] = settings.transactions,
    seed: Annotated[int, typer.Option(min=0)] = settings.seed,
) -> None:
    """Replace the data by a simulated history that ends at LAB_AS_OF, or at the current hour."""
    made = simulate_dataset(
        settings.data_dir,
        transactions=transactions,
        seed=seed,
        as_of=current_as_of(),
        history=settings.history,
    )
    describe(made)


@data_app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="A CSV or Parquet file, or: complete_journey.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="Which column is which."),
    ] = None,
    id_columns: Annotated[
        list[str] | None, typer.Option("--id", metavar="COLUMN", help="Names a row; repeatable.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="An SQL condition on the columns.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times without an offset.")] = None,
    epoch: Annotated[
        Literal["s", "ms", "us", "ns"] | None,
        typer.Option(help="Times are numbers of this unit since 1970."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a CSV file that is not UTF-8, such as cp1252.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Take the good rows, write the others to a file.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the mapping, five rows and the refused ones.")
    ] = False,
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="By whole weeks, to end in the week before now.")
    ] = False,
) -> None:
    """Replace the data by a table of transactions."""
    if file == "complete_journey":
        describe(import_complete_journey(settings.data_dir, current_as_of()))
        return
    columns, ids = pairs(mapping or []), id_columns or []
    options = ImportOptions(columns, ids, label, timezone, epoch, encoding, skip_bad)
    if dry_run:
        describe_preview(preview_table(settings.data_dir, Path(file), options))
        return
    as_of = current_as_of() if shift_to_now else settings.as_of
    described = import_table(
        settings.data_dir, Path(file), options, as_of=as_of, shift_to_now=shift_to_now
    )
    describe(described)
    if described.refused:
        typer.echo(f"refused rows: {settings.data_dir / REFUSED}")


@data_app.command()
def advance(by: Annotated[str, typer.Argument(help="1h, 30m, 2d, 1d12h")]) -> None:
    """Append the events of the time that follows, and move the as-of there."""
    describe(advance_dataset(settings.data_dir, duration(by)))


@data_app.command()
def features() -> None:
    """Compute the feature tables again from the raw events."""
    for table, rows in build_feature_tables(settings.data_dir, dataset.as_of()).items():
        typer.echo(f"{table}: {rows:,} rows")


@data_app.command()
def show() -> None:
    """Print the data's source, row counts and as-of time."""
    describe(manifest.read(settings.data_dir))


def current_as_of() -> datetime:
    return settings.as_of or floor_hour(utc_now())


def pairs(mapping: list[str]) -> dict[str, str]:
    for pair in mapping:
        if "=" not in pair:
            raise UserError(
                f"--map {pair}: not of the form OURS=THEIRS",
                "lab data import FILE --map user_id=household_id",
            )
    return dict(pair.split("=", 1) for pair in mapping)


def duration(text: str) -> timedelta:
    """1d12h30m and the like."""
    found = DURATION.fullmatch(text)
    if not found or not text:
        raise UserError(f"{text!r} is not a duration", "lab data advance 1h  (or 30m, 2d, 1d12h)")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def describe_preview(preview: Preview) -> None:
    """Print the mapping with its types, the first rows as they would be taken, the refused ones."""
    names, console = preview.columns.names, Console()
    mapping = Table("ours", "the file's", "type", box=None)
    for ours in KNOWN:
        theirs = names.get(ours)
        mapping.add_row(ours, theirs or "absent", preview.types[theirs] if theirs else "")
    rows = Table(*preview.sample[0], box=None) if preview.sample else Table(box=None)
    for row in preview.sample:
        rows.add_row(*map(str, row.values()))
    refused = sum(each.rows for each in preview.refused)
    for part in (mapping, f"not used: {', '.join(preview.columns.unused) or 'none'}", "", rows, ""):
        console.print(part, markup=False, highlight=False)
    console.print(f"{preview.rows:,} rows: {preview.rows - refused:,} good, {refused:,} refused")
    for each in preview.refused:
        console.print(f"  {each.rows:,} {each.reason} ({each.examples})", markup=False)


def describe(described: Manifest) -> None:
    """Print the manifest for a reader."""
    resolved = described.resolved_local_hours.items()
    facts = {
        "data": described.name,
        "from": f"{described.start:%Y-%m-%d %H:%M} UTC",
        "as of": f"{described.as_of:%Y-%m-%d %H:%M} UTC",
        "seed": described.seed,
        "shifted by": f"{described.shifted_weeks:,} weeks" if described.shifted_weeks else None,
        "label": described.label,
        "absent": ", ".join(described.absent),
        "rows of the file": source_rows(described),
        **{f"refused, {reason}": f"{rows:,} rows" for reason, rows in described.refused.items()},
        "null features": ", ".join(described.null_features),
        "local hours": ", ".join(f"{number:,} {kind}" for kind, number in resolved),
        **{name: f"{number:,} rows" for name, number in described.rows.items()},
        "id": described.id,
    }
    table = Table(show_header=False, box=None)
    for name, fact in facts.items():
        if fact not in (None, ""):
            table.add_row(name, str(fact))
    Console().print(table)


def source_rows(described: Manifest) -> str | None:
    """Return how many rows of an imported file were taken; None for other data."""
    refused = sum(described.refused.values())
    taken = described.source_rows - refused
    return f"{described.source_rows:,}: {taken:,} taken, {refused:,} refused" if taken else None
