"""Figures, what is required of them, and the file that keeps them."""

import json
import operator
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from rich import box
from rich.table import Table

REQUIRED = Path(__file__).parent.parent / "required.toml"
HOLDS = {"min": operator.ge, "max": operator.le}
SIGN = {"min": "≥", "max": "≤"}

Required = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Figure:
    """One measured value; beside a peer's value, the ratio says how many times better ours is."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None

    @classmethod
    def cost(cls, name: str, value: float, unit: str, peer: str, peer_value: float) -> Self:
        """A time or another cost beside the peer's: the ratio is above one where ours is less."""
        return cls(name, value, unit, peer, peer_value, peer_value / value)

    @property
    def judged(self) -> float:
        """What a requirement is about."""
        return self.value if self.ratio is None else self.ratio

    def holds(self, bound: Mapping[str, float]) -> bool:
        """Whether the figure is within its bound, {"min": …} or {"max": …}."""
        return all(HOLDS[kind](self.judged, limit) for kind, limit in bound.items())


def read_required(file: Path = REQUIRED) -> Required:
    """The bound of each figure that has one."""
    return tomllib.loads(file.read_text())


def falls_short(figures: Iterable[Figure], required: Required) -> list[Figure]:
    """The figures that are not within their bound."""
    return [figure for figure in figures if not figure.holds(required.get(figure.name, {}))]


def save(figure: Figure, file: Path, required: Required) -> None:
    """Keep a figure in `file`, in the place of an earlier one of its name."""
    rows = json.loads(file.read_text()) if file.exists() else []
    row = {**asdict(figure), "required": required.get(figure.name)}
    kept = {row["name"]: row for row in [*rows, row]}
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(list(kept.values()), indent=2) + "\n")
    beside.rename(file)


def as_table(figures: Iterable[Figure], required: Required) -> Table:
    """The figures, their peers and the verdicts."""
    table = Table(box=box.SIMPLE, title="Figures", title_justify="left")
    for heading in ("figure", "ours", "ratio", "required", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_column("peer")
    for figure in figures:
        bound = required.get(figure.name, {})
        limits = ", ".join(f"{SIGN[kind]} {limit:g}" for kind, limit in bound.items())
        verdict = ("holds" if figure.holds(bound) else "[red]falls short[/]") if bound else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
        table.add_row(figure.name, ours_of(figure), ratio, limits, verdict, peer_of(figure))
    return table


def ours_of(figure: Figure) -> str:
    """The value, with its unit."""
    return f"{figure.value:.3g} {figure.unit}"


def peer_of(figure: Figure) -> str:
    """The peer's value, with its unit, and its name."""
    return f"{figure.peer_value:.3g} {figure.unit}, {figure.peer}" if figure.peer else ""
