"""Draw the series of a dashboard's panels, light and dark."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
THEMES = {"light": ("#1f2328", "#8c959f"), "dark": ("#e6edf3", "#7d8590")}  # text, axes

Series = tuple[str, list[float], list[float]]  # legend, seconds, values


def draw(drawn: dict[str, list[Series]], theme: str) -> None:
    """Draw the panels in two columns."""
    mpl.rcParams.update({"svg.hashsalt": "observability"})
    rows = -(-len(drawn) // 2)
    figure = Figure(figsize=(9, 2.1 * rows), layout="constrained")
    places = figure.subplots(rows, 2).flatten()
    for axes, (title, series) in zip(places, drawn.items(), strict=False):
        draw_panel(axes, title, series, *THEMES[theme])
    for axes in places[len(drawn) :]:
        axes.remove()
    file = IMAGES / f"observability_{theme}.svg"
    figure.savefig(file, transparent=True, metadata={"Date": None})


def draw_panel(axes: Axes, title: str, series: list[Series], text: str, muted: str) -> None:
    """Draw the lines of one panel over the seconds of the run."""
    axes.set_title(title, fontsize=10, loc="left", color=text)
    axes.tick_params(labelsize=8, color=muted, labelcolor=muted)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(muted)
    for legend, seconds, values in series:
        axes.plot(seconds, values, lw=1.3, label=legend)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=6, frameon=False, loc="best", labelcolor=text)
