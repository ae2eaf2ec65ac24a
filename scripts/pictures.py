"""Draw the pictures of docs/concepts.md, light and dark: python scripts/pictures.py."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


class Theme(NamedTuple):
    """Colors of one picture."""

    name: str
    text: str
    muted: str
    right: str
    wrong: str
    fill: str
    on_color: str


LIGHT = Theme("light", "#1f2328", "#8c959f", "#0969da", "#cf222e", "#ddf4ff", "white")
DARK = Theme("dark", "#e6edf3", "#7d8590", "#58a6ff", "#ff7b72", "#0c2d6b", "#0d1117")


def point_in_time(axes: Axes, theme: Theme) -> None:
    """Four snapshots of one user, and the payment that takes one of them."""
    axes.set_xlim(-0.4, 10.6)
    axes.set_ylim(-1.6, 2.2)
    axes.axhline(0, color=theme.muted, lw=1)
    axes.axvline(7, ymin=0.1, ymax=0.94, color=theme.text, lw=1.5)
    axes.text(7, 2.05, "payment", color=theme.text, ha="center")
    snapshots = [
        (0.8, 1.6, "2", "expired", theme.muted),
        (3.6, 4.6, "4", "taken", theme.right),
        (5.8, 8.4, "5", "not arrived yet", theme.wrong),
        (9.0, 9.9, "7", "later: the naive join", theme.wrong),
    ]
    for event, created, value, remark, color in snapshots:
        axes.annotate(
            "", (created, 0.55), (event, 0.55), arrowprops={"arrowstyle": "->", "color": color}
        )
        axes.plot([event], [0], "o", color=color, ms=13)
        axes.text(
            event, 0, value, color=theme.on_color, ha="center", va="center", weight="bold", size=9
        )
        axes.text(event, -0.55, remark, color=color, ha="center", va="center")
    axes.text(0.8, 0.85, "event", color=theme.muted, ha="center", size=8)
    axes.text(1.6, 0.85, "created", color=theme.muted, ha="center", size=8)
    axes.annotate(
        "", (2.4, -1.15), (7, -1.15), arrowprops={"arrowstyle": "<->", "color": theme.text}
    )
    axes.text(4.7, -1.45, "time to live", color=theme.text, ha="center")


def split(axes: Axes, theme: Theme) -> None:
    """Training, validation and test in order of time, with an embargo between them."""
    axes.set_xlim(0, 100)
    axes.set_ylim(-0.6, 1.3)
    parts = [
        (0, 50, "training", theme.right),
        (50, 7, "embargo", None),
        (57, 12, "validation", theme.right),
        (69, 7, "embargo", None),
        (76, 16, "test", theme.right),
        (92, 8, "open", None),
    ]
    for start, width, name, color in parts:
        axes.barh(0.4, width, left=start, color=color or "none", edgecolor=theme.muted, height=0.7)
        axes.text(
            start + width / 2,
            0.4 if color else 1.0,
            name,
            ha="center",
            va="center",
            color=theme.on_color if color else theme.muted,
            size=9 if color else 8,
        )
    axes.annotate("", (100, -0.2), (0, -0.2), arrowprops={"arrowstyle": "->", "color": theme.muted})
    axes.text(
        50,
        -0.5,
        "time of the payment; open: the label may still change",
        color=theme.muted,
        ha="center",
    )


def tiles(axes: Axes, theme: Theme) -> None:
    """Twelve tiles of five minutes, and the windows that sum them."""
    axes.set_xlim(-0.3, 13.2)
    axes.set_ylim(-2.0, 1.9)
    counts = [0, 2, 0, 0, 1, 0, 3, 0, 0, 1, 0, 2]
    for number, count in enumerate(counts):
        is_running = number == len(counts) - 1
        axes.bar(
            number + 0.5,
            1,
            width=0.94,
            color=theme.fill,
            edgecolor=theme.right,
            ls="--" if is_running else "-",
        )
        axes.text(number + 0.5, 0.5, str(count), color=theme.text, ha="center", va="center")
    axes.text(0, 1.3, "tiles of five minutes: payments of one user", color=theme.muted)
    axes.axvline(11.7, ymin=0.18, ymax=0.9, color=theme.text, lw=1.5)
    axes.text(11.75, 1.6, "now", color=theme.text)
    for level, first, text in [(-0.6, 11, "5m = 2"), (-1.5, 0, "1h = 9")]:
        axes.annotate(
            "", (first, level), (12, level), arrowprops={"arrowstyle": "<->", "color": theme.right}
        )
        axes.text(12.15, level, text, color=theme.right, va="center")


def fill_race(axes: Axes, theme: Theme) -> None:
    """A reader that fetches before a materialization and stores after it, by two kinds of keys."""
    axes.set_xlim(-1.6, 10.4)
    axes.set_ylim(-2.5, 2.4)
    lanes = [(1.6, "reader"), (0.5, "Redis, features"), (-0.6, "cache by user"),
             (-1.7, "cache by user\nand version")]  # fmt: skip
    for level, name in lanes:
        axes.axhline(level, xmin=0.135, color=theme.muted, lw=1)
        axes.text(-1.6, level, name, color=theme.text, va="center", size=9)
    axes.axvline(4.2, ymin=0.05, ymax=0.88, color=theme.text, lw=1.2, ls="--")
    axes.text(4.2, 2.15, "materialization: 4 becomes 5, version 2", color=theme.text, ha="center")
    values = [
        (0.6, 0.5, "4", theme.right),
        (4.2, 0.5, "5", theme.right),
        (7.0, -0.6, "4", theme.wrong),
        (7.0, -1.7, "4", theme.muted),
    ]
    for at, level, value, color in values:
        axes.plot([at], [level], "o", color=color, ms=13)
        axes.text(
            at, level, value, color=theme.on_color, ha="center", va="center", weight="bold", size=9
        )
    arrows = [((0.6, 0.7), (1.4, 1.55)), ((1.4, 1.6), (6.6, 1.6)), ((6.6, 1.55), (7.0, -0.4))]
    for start, end in arrows:
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": theme.muted})
    axes.text(1.5, 1.72, "reads 4, then is slow", color=theme.muted, size=8)
    axes.text(7.35, -0.5, "the old value is back", color=theme.wrong, va="bottom", size=9)
    axes.text(7.35, -1.6, "version 1: nobody reads it", color=theme.muted, va="bottom", size=9)


def drift(axes: Axes, theme: Theme) -> None:
    """Histograms of one feature: training, a usual week, a week with drift, in the same bins."""
    axes.set_xlim(-0.3, 10.4)
    axes.set_ylim(-0.25, 3.4)
    random = np.random.default_rng(1)
    usual, same, doubled = (random.gamma(2, scale, 5_000) for scale in (1, 1, 2))
    edges = np.quantile(usual, np.linspace(0, 1, 11))
    shares = [
        np.histogram(sample, [-np.inf, *edges[1:-1], np.inf])[0] / 5_000
        for sample in (usual, same, doubled)
    ]
    names = ["training: ten bins of equal shares", "a usual week", "amounts doubled"]
    for level, (name, share) in enumerate(zip(names, shares, strict=True)):
        psi = float(np.sum((share - shares[0]) * np.log(share / shares[0])))
        base, color = 2.3 - 1.15 * level, theme.wrong if psi > 0.25 else theme.right
        axes.bar(np.arange(10) + 0.5, share * 2, width=0.9, bottom=base, color=color)
        note = f": PSI {psi:.2f}" if level else ""
        axes.text(0.05, base + 0.86, f"{name}{note}", color=theme.text, size=9)
        axes.plot([0, 10], [base, base], color=theme.muted, lw=1)


def write(file: Path, painter: Callable[[Axes, Theme], None], theme: Theme, height: float) -> None:
    """Write one picture; without a date, so that the same code gives the same bytes."""
    figure = Figure(figsize=(8, height))
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    axes.axis("off")
    painter(axes, theme)
    figure.savefig(file, transparent=True, metadata={"Date": None})


def main(folder: Path = IMAGES) -> None:
    """Write all pictures into a folder."""
    mpl.rcParams.update({"svg.hashsalt": "concepts", "font.size": 10})
    pictures = [
        (point_in_time, 2.6),
        (split, 1.6),
        (tiles, 2.4),
        (fill_race, 2.6),
        (drift, 3.0),
    ]
    for theme in (LIGHT, DARK):
        for painter, height in pictures:
            write(folder / f"{painter.__name__}_{theme.name}.svg", painter, theme, height)


if __name__ == "__main__":
    main()
