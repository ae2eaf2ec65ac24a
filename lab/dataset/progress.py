"""A progress bar on a terminal, silence elsewhere."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


def track(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield the items, with a bar on a terminal that shows how many of them are done."""
    console = Console(stderr=True)
    yield from rich_track(
        items, what, console=console, transient=True, disable=not console.is_terminal
    )
