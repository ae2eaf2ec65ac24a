"""Write the results into documents, between <!-- figures: NAME --> and <!-- end -->.

`values` in place of `figures` leaves the intervals out. A test fills the documents again and
compares.
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
PLACE = re.compile(r"(<!-- (figures|values): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
FRESHNESS = re.compile(r"^\| stream_freshness_p95_s \| ([\d.]+) s", re.MULTILINE)
MIN_RATIO, MIN_GAIN = 1.2, 0.10
CAUGHT_BY = {
    "none: point in time, split by time": "",
    "features: latest values": "values recomputed from raw events (2.3, 2.4)",
    "features: created time ignored": "the same, with planted late rows (2.4)",
    "split: random folds": "oldest test row ≥ newest training row + 7 days",
    "split: folds by user": "the same; no user is shared, but the weeks are",
}
SENTENCE = (
    "On {payments:,.0f} simulated payments PR-AUC is {batch:.2f} with batch features only, "
    "{streaming:.2f} with streaming features five seconds old, and {dead:.2f} when their pipeline "
    "is dead.\n"
)


def measured_freshness() -> timedelta:
    """Return the published time from a payment to its features in Redis; 95 % take less."""
    found = FRESHNESS.search((settings.root / "docs" / "benchmarks.md").read_text())
    assert found, "docs/benchmarks.md has no stream_freshness_p95_s"
    return timedelta(seconds=float(found[1]))


def read_results() -> pd.DataFrame:
    """Return the figures of the last `make payoff`."""
    return pd.read_csv(RESULTS, keep_default_na=False, na_values=[""])


def places(document: str) -> list[str]:
    """Return the names of the figures' placeholders."""
    return [name for _, _, name, _ in PLACE.findall(document)]


def fill(document: str, results: pd.DataFrame) -> str:
    """Return a document with the present figures at each placeholder."""

    def content(place: re.Match[str]) -> str:
        _, detail, name, _ = place.groups()
        if name == "sentence":
            return sentence(results)
        return table(results[results["table"] == name], with_intervals=detail == "figures")

    return PLACE.sub(lambda place: f"{place[1]}{content(place)}{place[4]}", document)


def table(lines: pd.DataFrame, *, with_intervals: bool) -> str:
    """Return a Markdown table, in the order in which the figures were measured."""
    values, lows, highs = (lines[name].map(cell) for name in ("value", "low", "high"))
    is_plain = lines["low"].isna() | (not with_intervals)
    texts = lines.assign(text=values.where(is_plain, values + " (" + lows + " to " + highs + ")"))
    grid = texts.pivot(index="row", columns="column", values="text").fillna("")
    grid = grid.loc[lines["row"].unique(), lines["column"].unique()]
    if set(grid.index) == set(CAUGHT_BY):
        grid["the check that catches it"] = pd.Series(CAUGHT_BY)
    rows = [["", *grid.columns], ["---"] * (grid.shape[1] + 1), *grid.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def cell(value: float) -> str:
    """Return a figure: a count, or a score with three digits."""
    return f"{value:,.0f}" if abs(value) > 100 else f"{value:.3f}"


def sentence(results: pd.DataFrame) -> str:
    """Return the README's sentence below the picture; of the first seed."""
    of = results.drop_duplicates(["table", "row"]).set_index(["table", "row"])["value"]
    *batch, streaming = of["kinds"]
    return SENTENCE.format(
        payments=of["sizes", "payments"],
        batch=max(batch),
        streaming=streaming,
        dead=of["ages", "dead"],
    )


def print_requirements(results: pd.DataFrame) -> None:
    """Print for each seed whether streaming features add what is required."""
    steps = results[results["table"] == "steps"].set_index(["column", "row"])
    for seed in steps.index.unique("column"):
        gain = steps.loc[(seed, "streaming minus best batch kind")]
        ratio = steps.loc[(seed, "streaming over best batch kind")]
        is_met = ratio["value"] >= MIN_RATIO and gain["low"] > MIN_GAIN
        outcome = "as required" if is_met else "SHORT OF the required ratio or difference"
        print(f"{seed}: ratio {ratio['value']:.2f}, difference from {gain['low']:.3f}: {outcome}")


def write(results: pd.DataFrame) -> None:
    """Write the results and fill the documents."""
    results.to_csv(RESULTS, index=False, float_format="%.6g")
    print_requirements(read_results())
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text(), read_results()))
