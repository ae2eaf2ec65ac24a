"""The command line: lab up · down · status · data · run, and those of grading."""

import sys
import traceback
from typing import Annotated

import typer
from rich.console import Console

from checker.cli import OUR_ERROR, USER_ERROR, check, compare, exit_status, grade, new, render
from lab.dataset.cli import data_app
from lab.errors import UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(data_app, name="data")
for command in (new, check, grade, compare, render):
    app.command()(command)
console = Console()


@app.command()
def up(services: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Start Redis and Kafka, or the named ones."""
    from lab import stack

    stack.up(services or ["redis", "kafka"])
    status()


@app.command()
def down() -> None:
    """Stop what `lab up` started."""
    from lab import stack

    stack.down()


@app.command()
def status() -> None:
    """Say which services answer, and where."""
    from lab import stack

    for service in stack.status():
        console.print(f"{service.name:6} {service.state:8} {service.address}", highlight=False)


@app.command()
def run(
    number: Annotated[
        int | None, typer.Argument(help="One exercise; without it all of them")
    ] = None,
    data: Annotated[str | None, typer.Option(help="simulated or complete_journey")] = None,
) -> None:
    """Run the exercises in order and grade the reference; or run one exercise."""
    from checker.run import pipeline

    if number is not None:
        pipeline.run_one(number, data)
    else:
        card = pipeline.run_all(data, console)
        sys.exit(exit_status(card))


def main() -> None:
    """The entry point; a user's mistake is one sentence and status 2, a bug of ours status 3."""
    try:
        app()
    except UserError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False)
        sys.exit(USER_ERROR)
    except Exception:  # noqa: BLE001 - uncaught it ends with 1, and that some criteria failed
        traceback.print_exc()
        sys.exit(OUR_ERROR)
