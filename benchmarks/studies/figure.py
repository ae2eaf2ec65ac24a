"""The README's picture: PR-AUC by kind of feature, and by the age of the streaming features."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

THEMES = {
    "light": {"ink": "#1f2328", "grid": "#d1d9e0", "batch": "#57606a", "streaming": "#0969da"},
    "dark": {"ink": "#e6edf3", "grid": "#3d444d", "batch": "#9198a1", "streaming": "#4493f8"},
}
INK = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
DEAD_AT = 4 * 3_600.0  # to the right of the oldest age

Theme = dict[str, str]


def draw(results: pd.DataFrame, freshness: timedelta, folder: Path) -> None:
    """Write payoff_light.svg and payoff_dark.svg."""
    kinds = results[results["table"] == "kinds"]
    ages = results[results["table"].eq("ages") & results["column"].eq("PR-AUC")]
    for name, theme in THEMES.items():
        style: Any = {"font.size": 11, "axes.edgecolor": theme["grid"], "svg.hashsalt": name}
        style |= {"axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 11}
        style |= {"axes.grid": True, "axes.grid.axis": "y", "grid.color": theme["grid"]}
        style |= {"grid.linewidth": 0.6, "xtick.major.size": 0, "ytick.major.size": 0}
        with mpl.rc_context(style | dict.fromkeys(INK, theme["ink"])):
            figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True, layout="tight")
            panels[0].set(ylabel="PR-AUC", ylim=(0, 1))
            _draw_kinds(panels[0], kinds, theme)
            _draw_ages(panels[1], ages, freshness.total_seconds(), theme)
            figure.savefig(folder / f"payoff_{name}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)


def _draw_kinds(axes: Axes, figures: pd.DataFrame, theme: Theme) -> None:
    """Draw a dot for each kind and seed; the last kind has the streaming features."""
    for number, (_, of_seed) in enumerate(figures.groupby("column", sort=False)):
        places = [place + 0.15 * (number - 1) for place in range(len(of_seed))]
        _draw_dots(axes, places[:-1], of_seed[:-1], theme["batch"])
        _draw_dots(axes, places[-1:], of_seed[-1:], theme["streaming"])
    kinds = figures["row"].unique()
    axes.set_xticks(range(len(kinds)), [k.replace(" ", "\n").replace("+\n", "+ ") for k in kinds])
    axes.set_title("by kind of feature; a dot for each seed")


def _draw_ages(axes: Axes, figures: pd.DataFrame, freshness_s: float, theme: Theme) -> None:
    """Draw a line over the ages, the dead pipeline apart, and the freshness of exercise 5."""
    places = [pd.Timedelta(age).total_seconds() for age in figures["row"][:-1]]
    _draw_dots(axes, places, figures[:-1], theme["streaming"], "-")
    _draw_dots(axes, [DEAD_AT], figures[-1:], theme["batch"])
    axes.axvline(freshness_s, color=theme["ink"], linewidth=1, linestyle=":")
    axes.annotate(f" exercise 5: {freshness_s:.1f} s", (freshness_s, 0.04))
    axes.set_xscale("log")
    labels = figures["row"].replace("20 s", "").str.replace(" ", "\n")
    axes.set_xticks([*places, DEAD_AT], labels)
    axes.minorticks_off()
    axes.set_title("by age of the streaming features; one model")


def _draw_dots(
    axes: Axes, places: Sequence[float], figures: pd.DataFrame, color: str, line: str = "none"
) -> None:
    value, low, high = (figures[name].to_numpy() for name in ("value", "low", "high"))
    lengths = value - low, high - value
    axes.errorbar(places, value, lengths, fmt="o", ms=5, lw=1.2, color=color, ls=line)
