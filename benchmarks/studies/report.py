"""Write the results into documents, between <!-- figures: TABLE --> and <!-- end -->.

A test fills the documents again and compares.
"""

import re
from datetime import timedelta

import pandas as pd

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
CAUGHT_BY = {
    "none: point in time, split by time": "",
    "features: latest values": "values recomputed from raw events (2.3, 2.4)",
    "features: created time ignored": "the same, with planted late rows (2.4)",
    "split: random folds": "oldest test row ≥ newest training row + 7 days",
    "split: folds by user": "the same; no user is shared, but the weeks are",
}


def measured_freshness() -> timedelta:
    """Return the published time from a payment to its features in Redis; 95 % take less."""
    found = FRESHNESS.search((settings.root / "docs" / "benchmarks.md").read_text())
    assert found, "docs/benchmarks.md has no stream_freshness_p95_s"
    return timedelta(seconds=float(found[1]))


def read_results() -> pd.DataFrame:
    """Return the figures of the last `make payoff`."""
    return pd.read_csv(RESULTS, keep_default_na=False, na_values=[""])


def fill(document: str, results: pd.DataFrame) -> str:
    """Return a document with the present figures at each placeholder."""
    return PLACE.sub(lambda place: place[1] + table(results, place[2]) + place[3], document)


def table(results: pd.DataFrame, name: str) -> str:
    """Return a Markdown table, in the order in which the figures were measured."""
    lines = results[results["table"] == name]
    value, low, high = (lines[column].map(cell) for column in ("value", "low", "high"))
    texts = value.where(lines["low"].isna(), value + " (" + low + " to " + high + ")")
    grid = lines.assign(text=texts).pivot(index="row", columns="column", values="text").fillna("")
    grid = grid.loc[lines["row"].unique(), lines["column"].unique()]
    if name == "leakage":
        grid["the check that catches it"] = pd.Series(CAUGHT_BY)
    rows = [["", *grid], ["---"] * (grid.shape[1] + 1), *grid.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def cell(value: float) -> str:
    """Return a figure: a count, or a score with three digits."""
    return f"{value:,.0f}" if abs(value) > 100 else f"{value:.3f}"


def write(results: pd.DataFrame) -> None:
    """Write the results, fill the documents, and print what streaming features add."""
    results.to_csv(RESULTS, index=False, float_format="%.6g")
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text(), read_results()))
    print("Required: a ratio of at least 1.2, and a difference above 0.10")
    print(table(read_results(), "steps"))
