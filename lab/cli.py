"""The lab's own commands: lab up · down · status · data. The checker adds its own to them."""

from typing import Annotated

import typer
from rich.console import Console

from lab.dataset.cli import data_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(data_app, name="data")
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
