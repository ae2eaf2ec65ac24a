"""Write the results into documents, and draw them.

A table is between <!-- figures: TABLE --> and <!-- end -->; a test fills it again and compares.
"""

import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lab.settings import settings

STUDIES = settings.root / "docs" / "studies"
RESULTS = STUDIES / "results.csv"
FOLDERS = ("", "exercise_02_pit_training", "docs/studies")
DOCUMENTS = [settings.root / folder / "README.md" for folder in FOLDERS]
PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
FRESHNESS = re.compile(r"^\| stream_freshness_p95_s \| ([\d.]+) s", re.MULTILINE)

STYLES = Path(__file__).parent
BATCH, STREAMING, INK = "C0", "C1", "C2"  # colors of the styles
WITHOUT_STREAMING = ("five stored", "+ amount, request", "+ merchant windows", "dead")


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
    texts = texts.where(lines["text"].isna(), lines["text"])
    grid = lines.assign(text=texts).pivot(index="row", columns="column", values="text").fillna("")
    grid = grid.loc[lines["row"].unique(), lines["column"].unique()]
    rows = [["", *grid], ["---"] * (grid.shape[1] + 1), *grid.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_text(figure: float) -> str:
    """Return a figure: a count, or a score with three digits."""
    return f"{figure:,.0f}" if abs(figure) > 100 else f"{figure:.3f}"


def draw(results: pd.DataFrame, folder: Path) -> None:
    """Write payoff_light.svg and payoff_dark.svg."""
    ages = results.query("table == 'ages' and column == 'PR-AUC'")
    *alive, _ = ages["row"]
    freshness_s = measured_freshness().total_seconds()
    place = np.interp(freshness_s, pd.to_timedelta(alive).total_seconds(), range(len(alive)))
    for theme in ("light", "dark"):
        with plt.style.context([STYLES / "figure.mplstyle", STYLES / f"{theme}.mplstyle"]):
            figure, (left, right) = plt.subplots(1, 2, sharey=True, layout="tight")
            _draw_dots(left, results.query("table == 'kinds'"))
            _draw_dots(right, ages)
            left.set(title="by kind of feature; a dot for each seed", ylabel="PR-AUC", ylim=(0, 1))
            right.set_title("by age of the streaming features; one model")
            right.plot(ages["value"].to_numpy()[: len(alive)], color=STREAMING)
            right.axvline(place, color=INK, linewidth=1, linestyle=":")
            right.annotate(f" exercise 5: {freshness_s:.1f} s", (place, 0.04))
            figure.savefig(folder / f"payoff_{theme}.svg", metadata={"Date": None})
            plt.close(figure)


def _draw_dots(axes: Axes, figures: pd.DataFrame) -> None:
    """Draw a dot and its interval for each row of a table, its columns next to each other."""
    row, rows = figures["row"].factorize()
    column, columns = figures["column"].factorize()
    places = row + 0.15 * (column - len(columns) // 2)
    colors = np.where(figures["row"].isin(WITHOUT_STREAMING), BATCH, STREAMING).tolist()
    axes.vlines(places, figures["low"], figures["high"], colors)
    axes.scatter(places, figures["value"], c=colors)
    axes.set_xticks(range(len(rows)), rows.str.replace(" ", "\n").str.replace("+\n", "+ "))


def write(results: pd.DataFrame) -> None:
    """Write the results, fill the documents, draw the picture, print what streaming adds."""
    results.to_csv(RESULTS, index=False, float_format="%.6g")
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text(), read_results()))
    draw(read_results(), STUDIES)
    print("Required: a ratio of at least 1.2, and a difference above 0.10")
    print(as_markdown(read_results(), "steps"))
