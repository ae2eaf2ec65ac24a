"""Figures, their requirements, and the file that stores them."""

import json
import operator
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table
from scipy.stats import binom

from lab.files import replacing

REQUIRED = Path(__file__).parent.parent / "required.toml"
HOLDS = {"min": operator.ge, "max": operator.le}
SIGN = {"min": "≥", "max": "≤"}

Slices = Sequence[float] | npt.NDArray[np.float64]
Required = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Figure:
    """One measured value; with a peer's value also their ratio, defined by its constructor."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None  # of the ratio, at least 95 %

    @classmethod
    def cost(cls, name: str, value: float, unit: str, peer: str, peer_value: float) -> Self:
        """Return a time or another cost with a peer's: the ratio is above one if ours is less."""
        return cls(name, value, unit, peer, peer_value, peer_value / value)

    @classmethod
    def multiple(cls, name: str, value: float, unit: str, peer: str, peer_value: float) -> Self:
        """Return a rate or other value with a peer's: the ratio is above one if ours is more."""
        return cls(name, value, unit, peer, peer_value, value / peer_value)

    @classmethod
    def of_slices(
        cls, name: str, slices: Mapping[str, Slices], unit: str, *, are_rates: bool = False
    ) -> Self:
        """Return our costs or rates next to the best peer's: the median of the slices' ratios.

        The first side is ours; each side has a measurement of every slice.
        """
        ours, *peers = slices
        medians = {side: float(np.median(measured)) for side, measured in slices.items()}
        best = max if are_rates else min
        peer = best(peers, key=lambda side: medians[side])
        multiples = np.sort(np.divide(slices[ours], slices[peer]))
        ratios = multiples if are_rates else 1 / multiples[::-1]
        place = max(int(binom.ppf(0.025, len(ratios), 0.5)) - 1, 0)
        interval = float(ratios[place]), float(ratios[-1 - place])
        ratio = float(np.median(ratios))
        return cls(name, medians[ours], unit, peer, medians[peer], ratio, interval)

    @property
    def bounded(self) -> float:
        """Return the value that a requirement bounds: the ratio, if there is one."""
        return self.value if self.ratio is None else self.ratio

    def holds(self, bound: Mapping[str, float]) -> bool:
        """Return True if the figure is within its bound, {"min": …} or {"max": …}."""
        return all(HOLDS[kind](self.bounded, limit) for kind, limit in bound.items())


def read_required(file: Path = REQUIRED) -> Required:
    """Return the bound of each figure that has one."""
    return tomllib.loads(file.read_text())


def falls_short(figures: Iterable[Figure], required: Required) -> list[Figure]:
    """Return the figures that are not within their bound."""
    return [figure for figure in figures if not figure.holds(required.get(figure.name, {}))]


def save(figure: Figure, file: Path, required: Required) -> None:
    """Store a figure in `file`, in the place of an earlier one of its name."""
    rows = json.loads(file.read_text()) if file.exists() else []
    row = {**asdict(figure), "required": required.get(figure.name)}
    if figure.interval is None:
        del row["interval"]
    by_name = {row["name"]: row for row in [*rows, row]}
    with replacing(file) as temp_path:
        temp_path.write_text(json.dumps(list(by_name.values()), indent=2) + "\n")


def as_table(figures: Iterable[Figure], required: Required) -> Table:
    """Return a table of the figures, the peers' values and the verdicts."""
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
    """Return the line of a figure that was just measured, with the name of its peer."""
    peer = f"; {figure.peer}: {measured(figure.peer_value, figure.unit)}" if figure.peer else ""
    if figure.interval:
        low, high = figure.interval
        peer += f"; ratio {figure.ratio:.3g} ({low:.3g} to {high:.3g})"
    return f"{figure.name}: {measured(figure.value, figure.unit)}{peer}"


def measured(value: float | None, unit: str) -> str:
    """Return a value with its unit, to three digits; an empty text where there is none."""
    return "" if value is None else f"{value:.3g} {unit}"
