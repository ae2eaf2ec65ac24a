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

from lab.files import replacing

REQUIRED = Path(__file__).parent.parent / "required.toml"
HOLDS = {"min": operator.ge, "max": operator.le}
SIGN = {"min": "≥", "max": "≤"}

Required = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Figure:
    """One measured value; beside a peer's, the ratio of both, as its constructor says."""

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

    @classmethod
    def multiple(cls, name: str, value: float, unit: str, peer: str, peer_value: float) -> Self:
        """A rate, or another value, in the peer's: the ratio is above one where ours is more."""
        return cls(name, value, unit, peer, peer_value, value / peer_value)

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
    with replacing(file) as temp_path:
        temp_path.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


def as_table(figures: Iterable[Figure], required: Required) -> Table:
    """The figures, the peers' values and the verdicts."""
    table = Table(box=box.SIMPLE, title="Figures", title_justify="left", pad_edge=False)
    for heading in ("figure", "ours", "peer", "ratio", "required", "verdict"):
        table.add_column(heading, no_wrap=True)
    for figure in figures:
        bound = required.get(figure.name, {})
        limits = ", ".join(f"{SIGN[kind]} {limit:g}" for kind, limit in bound.items())
        verdict = ("holds" if figure.holds(bound) else "[red]falls short[/]") if bound else ""
        ours, peer = (measured(v, figure.unit) for v in (figure.value, figure.peer_value))
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
        table.add_row(figure.name, ours, peer, ratio, limits, verdict)
    return table


def as_line(figure: Figure) -> str:
    """The figure as soon as it is measured, and which peer it is beside."""
    peer = f"; {figure.peer}: {measured(figure.peer_value, figure.unit)}" if figure.peer else ""
    return f"{figure.name}: {measured(figure.value, figure.unit)}{peer}"


def measured(value: float | None, unit: str) -> str:
    """A value with its unit, to three digits; nothing where there is none."""
    return "" if value is None else f"{value:.3g} {unit}"
