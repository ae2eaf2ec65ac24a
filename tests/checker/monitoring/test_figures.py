"""The figures of a report are found in each format, and compared between two states of the data."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from checker.monitoring.figures import figures_in, moved, text_of, unmoved

NAMES = ["mean_amount", "transaction_count_7d", "chargeback_rate"]


def table(psi: float) -> pd.DataFrame:
    """Return a report in which the first feature alone drifted."""
    values = [psi, 0.01, 0.002]
    drift = [value > 0.25 for value in values]
    return pd.DataFrame({"feature": NAMES, "has_drift": drift, "psi": values, "severity": "?"})


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "CSV": lambda report: report.to_csv(index=False),
    "HTML": lambda report: report.to_html(),
    "HTML on its side": lambda report: report.set_index("feature").T.to_html(),
    "Markdown": lambda report: report.to_markdown(),
    "text": lambda report: report.to_string(),
    "JSON by column": lambda report: report.to_json(),
    "JSON by row": lambda report: report.to_json(orient="records", indent=1),
    "JSON by feature": lambda report: report.set_index("feature").to_json(orient="index"),
    "JSON in lists": lambda report: f'{{"report": {report.to_dict("list")!r}}}'.replace(
        "'", '"'
    ).replace("False", "false"),
    "lines with times": lambda report: "\n".join(
        f"2026-11-30T12:57:30.123456+00:00 user_stats__{row.feature}: {row.psi}"
        for row in report.itertuples()
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_may_have_any_format(name: str) -> None:
    before, after = (figures_in([FORMATS[name](table(psi))], NAMES) for psi in (0.01, 4.2))
    assert all(before[feature] and after[feature] for feature in NAMES)
    assert unmoved(before, after, NAMES[:1]) == []
    assert moved(before, after, NAMES[1:]) == []
    assert unmoved(before, before, NAMES) == NAMES


@pytest.mark.parametrize("text", ["mean_amount transaction_count_7d", "mean_amount: drift", ""])
def test_a_name_without_a_figure_has_none(text: str) -> None:
    assert not any(figures_in([text], NAMES).values())


def test_times_are_no_figures() -> None:
    text = "mean_amount at 2026-11-30 12:57:30.5, 1796043450.25, 20261130_125730"
    assert not any(figures_in([text], NAMES).values())


def test_random_figures_move_without_a_cause() -> None:
    before, after = (figures_in([f"mean_amount {psi}"], NAMES) for psi in (0.1, 0.3))
    assert moved(before, after, NAMES[:1]) == NAMES[:1]


def test_a_sparse_report_is_read_in_part(tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    with file.open("wb") as opened:
        opened.write(b"mean_amount,0.5")
        opened.truncate(2**40)
    assert text_of(file, tmp_path).startswith("mean_amount,0.5")
