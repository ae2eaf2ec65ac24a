"""The lab's own commands: lab up · down · status · data · redis; the checker adds its own."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from lab.dataset.cli import data_app
from lab.errors import UserError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(data_app, name="data")
redis_app = typer.Typer(help="What Redis stores.")
app.add_typer(redis_app, name="redis")
console = Console()


@app.command()
def up(services: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Start Redis and Kafka, or the named ones."""
    from lab import stack
    from lab.derived import separate_datasets
    from lab.settings import settings
    from lab.stack.flink import connector_jars

    wanted = services or ["redis", "kafka"]
    stack.up(wanted)
    if "kafka" in wanted:
        connector_jars(settings)
    separate_datasets()
    status()


@app.command()
def down() -> None:
    """Stop what `lab up` started."""
    from lab import stack

    stack.down()


@app.command()
def status() -> None:
    """Report which services answer, and where."""
    from lab import stack

    for service in stack.status():
        yours = ", yours" if service.how == "yours" else ""
        line = f"{service.name:6} {service.state:8} {service.address}{yours}"
        console.print(line, highlight=False)


@app.command()
def why(
    entity: Annotated[str, typer.Argument(help="The id of a user, merchant or product")],
    feature: Annotated[str, typer.Argument(help="A stored feature")],
    at: Annotated[
        str | None, typer.Option(help="A time such as 2026-05-01T12:00Z; else the data's as-of")
    ] = None,
) -> None:
    """Trace a value: the events, the visible snapshot, Redis, the API."""
    from lab.learn import as_of
    from lab.why import explain

    for line in explain(entity, feature, as_of() if at is None else moment_of(at)):
        print(line)


@redis_app.command("show")
def redis_show(
    entity: Annotated[str, typer.Argument(help="The id of a user, merchant or product")],
) -> None:
    """Print an entity's hash: the redis-cli command, the TTL, each field's feature and value."""
    from lab.redis_show import show

    for line in show(entity):
        print(line)


@app.command()
def quiz(
    exercise: Annotated[
        int | None, typer.Argument(min=1, max=6, help="One exercise; without it all")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same questions again")] = None,
) -> None:
    """Spot the mistake: wrong solutions, each with what it produces; q ends."""
    from lab.quiz import play

    play(exercise, seed, lambda: console.input("1 to 4, q ends: "), console)


def moment_of(text: str) -> datetime:
    """Parse a time with a zone; UserError for another text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = f"--at {text}: not a time with a zone"
        raise UserError(problem, "--at 2026-05-01T12:00Z, or +02:00 for Z")
    return moment
