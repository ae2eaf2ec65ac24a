"""Write the results into documents, between <!-- figures: NAME --> and <!-- end -->.

A test fills the documents again and compares.
"""

import re
from pathlib import Path

import pandas as pd

from benchmarks.studies.study import STREAMING
from lab.settings import settings

STUDIES = settings.root / "docs" / "studies"
RESULTS = STUDIES / "results.csv"
DOCUMENTS = (
    settings.root / "README.md",
    settings.root / "exercise_02_pit_training" / "README.md",
    STUDIES / "README.md",
)
PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CAUGHT_BY = {
    "none: point in time, split by time": "",
    "features: latest values": "recomputing the values from raw events (2.3, 2.4)",
    "features: created time ignored": "the same, with rows that were written late (2.4)",
    "split: random folds": "oldest test row later than the newest training row + 7 days",
    "split: folds by user": "the same: no user is shared, but the weeks are",
}
SENTENCE = (
    "On {payments:,.0f} simulated payments PR-AUC is {batch} with batch features and {streaming} "
    "with streaming features of {age}; with a dead pipeline it is {dead}.\n"
)


def read_results() -> pd.DataFrame:
    """Return the figures of the last `make payoff`."""
    return pd.read_csv(RESULTS, keep_default_na=False, na_values=[""])


def places(document: str) -> list[str]:
    """Return the names of the places for figures."""
    return [name for _, name, _ in PLACE.findall(document)]


def fill(document: str, results: pd.DataFrame) -> str:
    """Return a document with the present figures at each of its places."""
    return PLACE.sub(lambda found: f"{found[1]}{content(found[2], results)}{found[3]}", document)


def content(name: str, results: pd.DataFrame) -> str:
    """Return what stands at a place: the sentence of the README, or a table."""
    if name == "sentence":
        return sentence(results)
    lines = results[results["table"] == name]
    texts = lines.assign(text=[cell(*figure) for figure in lines[["value", "low", "high"]].values])
    table = texts.pivot(index="row", columns="column", values="text").fillna("")
    table = table.loc[lines["row"].unique(), lines["column"].unique()]
    if name == "leakage":
        table["the check that catches it"] = pd.Series(CAUGHT_BY)
    rows = [["", *table.columns], ["---"] * (table.shape[1] + 1), *table.reset_index().values]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def cell(value: float, low: float, high: float) -> str:
    """Return a figure with its interval."""
    if low != low:
        return f"{value:,.0f}" if value > 100 else f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def sentence(results: pd.DataFrame) -> str:
    """Return the README's sentence below the picture."""
    of = results.drop_duplicates(["table", "row"]).set_index(["table", "row"])["value"]
    kinds = of["kinds"]
    return SENTENCE.format(
        payments=of["sizes", "payments"],
        batch=f"{kinds.drop(STREAMING).max():.2f}",
        streaming=f"{kinds[STREAMING]:.2f}",
        age="5 seconds",
        dead=f"{places['ages', 'dead']:.2f}",
    )


def write(results: pd.DataFrame) -> None:
    """Write the results and fill the documents."""
    results.to_csv(RESULTS, index=False, float_format="%.6g")
    for document in DOCUMENTS:
        Path(document).write_text(fill(document.read_text(), read_results()))
