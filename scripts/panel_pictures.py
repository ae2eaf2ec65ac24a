"""Draw the series of a dashboard's panels, light and dark."""

from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LEGEND_LINE = 0.14  # of the axis, for each line of the legend
THEMES = {"light": ("#1f2328", "#8c959f"), "dark": ("#e6edf3", "#7d8590")}  # text, axes

DAY_S, HOUR_S = 86_400, 3_600
UNITS = {  # of Grafana: the words of an axis, and the factor of its values
    "s": ("seconds", 1),
    "percentunit": ("%", 100),
    "reqps": ("requests / s", 1),
    "ops": ("commands / s", 1),
    "short": ("number", 1),
    "none": ("no unit", 1),
}

Series = tuple[str, list[float], list[float]]  # legend, seconds, values


@dataclass(frozen=True)
class Panel:
    """A panel of the dashboard with the series of its expressions."""

    title: str
    unit: str
    series: list[Series] = field(default_factory=list)

    def axis(self) -> tuple[str, float]:
        """Return the words of the axis, and the factor of the values; long times are in hours."""
        largest = max((max(values) for *_, values in self.series), default=0)
        if self.unit == "s" and largest > 2 * DAY_S:
            return "days", 1 / DAY_S
        return ("hours", 1 / HOUR_S) if self.unit == "s" and largest > HOUR_S else UNITS[self.unit]


def draw(panels: list[Panel], theme: str) -> None:
    """Draw the panels in two columns."""
    mpl.rcParams.update({"svg.hashsalt": "observability"})
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(9, 2.3 * rows), layout="constrained")
    places = figure.subplots(rows, 2).flatten()
    for axes, panel in zip(places, panels, strict=False):
        draw_panel(axes, panel, *THEMES[theme])
    for axes in places[len(panels) :]:
        axes.remove()
    file = IMAGES / f"observability_{theme}.svg"
    figure.savefig(file, transparent=True, metadata={"Date": None})


def draw_panel(axes: Axes, panel: Panel, text: str, muted: str) -> None:
    """Draw the lines of one panel over the seconds of the run, below the legend."""
    unit, factor = panel.axis()
    axes.set_title(panel.title, fontsize=10, loc="left", color=text)
    axes.set_ylabel(unit, fontsize=8, color=muted)
    axes.set_xlabel("seconds of the run", fontsize=7, color=muted)
    axes.tick_params(labelsize=8, color=muted, labelcolor=muted)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(muted)
    for legend, seconds, values in panel.series:
        axes.plot(seconds, [value * factor for value in values], lw=1.3, label=legend)
    axes.set_ylim(0, axes.get_ylim()[1] * (1 + LEGEND_LINE * len(panel.series)))
    axes.legend(fontsize=6, frameon=False, loc="upper left", labelcolor=text)
