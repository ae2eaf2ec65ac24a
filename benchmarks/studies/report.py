"""Write the results into documents, and draw them.

A table is between <!-- figures: TABLE --> and <!-- end -->; a test fills it again and compares.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lab.settings import settings

STUDIES = settings.root / "docs" / "studies"
RESULTS = STUDIES / "results.csv"
DOCUMENTS = (
    settings.root / "README.md",
    settings.root / "exercise_02_pit_training" / "README.md",
    STUDIES / "README.md",
)
PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
FRESHNESS = re.compile(r"^\| stream_freshness_p95_s \| ([\d.]+) s", re.MULTILINE)

STYLES = Path(__file__).parent
BATCH, STREAMING, INK = "C0", "C1", "C2"  # colors of the styles
DEAD_AT = 4 * 3_600.0  # to the right of the oldest age


def measured_freshness() -> timedelta:
    """Return the published time from a payment to its features in Redis; 95 % take less."""
    (seconds,) = FRESHNESS.findall((settings.root / "docs" / "benchmarks.md").read_text())
    return timedelta(seconds=float(seconds))


def read_results() -> pd.DataFrame:
    """Return the figures of the last `make payoff`."""
    return pd.read_csv(RESULTS, keep_default_na=False, na_values=[""])


def fill(document: str, results: pd.DataFrame) -> str:
    """Return a document with the present figures at each placeholder."""
    return PLACE.sub(lambda place: place[1] + as_markdown(results, place[2]) + place[3], document)


def as_markdown(results: pd.DataFrame, name: str) -> str:
    """Return a table with its rows and columns in the order of the results."""
    lines = results[results["table"] == name]
    value, low, high = (lines[column].map(as_text) for column in ("value", "low", "high"))
    texts = value.where(lines["low"].isna(), value + " (" + low + " to " + high + ")")
    grid = lines.assign(text=texts).pivot(index="row", columns="column", values="text").fillna("")
    grid = grid.loc[lines["row"].unique(), lines["column"].unique()]
    rows = [["", *grid], ["---"] * (grid.shape[1] + 1), *grid.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_text(figure: float) -> str:
    """Return a figure: a count, or a score with three digits."""
    return f"{figure:,.0f}" if abs(figure) > 100 else f"{figure:.3f}"


def draw(results: pd.DataFrame, freshness: timedelta, folder: Path) -> None:
    """Write payoff_light.svg and payoff_dark.svg."""
    for theme in ("light", "dark"):
        with plt.style.context([STYLES / "figure.mplstyle", STYLES / f"{theme}.mplstyle"]):
            figure, (left, right) = plt.subplots(1, 2, sharey=True, layout="tight")
            _draw_kinds(left, results[results["table"] == "kinds"])
            _draw_ages(right, results.query("table == 'ages' and column == 'PR-AUC'"))
            right.axvline(freshness.total_seconds(), color=INK, linewidth=1, linestyle=":")
            label = f" exercise 5: {freshness.total_seconds():.1f} s"
            right.annotate(label, (freshness.total_seconds(), 0.04))
            figure.savefig(folder / f"payoff_{theme}.svg", metadata={"Date": None})
            plt.close(figure)


def _draw_kinds(axes: Axes, figures: pd.DataFrame) -> None:
    """Draw a dot for each kind and seed; the last kind has the streaming features."""
    kind, kinds = figures["row"].factorize()
    seed, _ = figures["column"].factorize()
    _draw_dots(axes, kind + 0.15 * (seed - 1), figures, kind == len(kinds) - 1)
    labels = kinds.str.replace(" ", "\n").str.replace("+\n", "+ ")
    axes.set_xticks(range(len(kinds)), labels)
    axes.set(title="by kind of feature; a dot for each seed", ylabel="PR-AUC", ylim=(0, 1))


def _draw_ages(axes: Axes, figures: pd.DataFrame) -> None:
    """Draw a line over the ages, and the dead pipeline apart."""
    ages = pd.to_timedelta(figures["row"], errors="coerce").dt.total_seconds().to_numpy()
    places = np.nan_to_num(ages, nan=DEAD_AT)
    axes.plot(ages, figures["value"], color=STREAMING)
    _draw_dots(axes, places, figures, places < DEAD_AT)
    axes.set(title="by age of the streaming features; one model", xscale="log")
    labels = figures["row"].replace("20 s", "").str.replace(" ", "\n")
    axes.set_xticks(places, labels)
    axes.minorticks_off()


def _draw_dots(axes: Axes, places: Any, figures: pd.DataFrame, is_streaming: Any) -> None:
    value, low, high = (figures[name].to_numpy() for name in ("value", "low", "high"))
    lengths = np.stack([value - low, high - value])
    for chosen, color in ((~is_streaming, BATCH), (is_streaming, STREAMING)):
        axes.errorbar(places[chosen], value[chosen], lengths[:, chosen], fmt="o", color=color)


def write(results: pd.DataFrame) -> None:
    """Write the results, fill the documents, draw the picture, print what streaming adds."""
    results.to_csv(RESULTS, index=False, float_format="%.6g")
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text(), read_results()))
    draw(read_results(), measured_freshness(), STUDIES)
    print("Required: a ratio of at least 1.2, and a difference above 0.10")
    print(as_markdown(read_results(), "steps"))
