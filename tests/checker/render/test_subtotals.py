"""Errors of ours are in no total and no order; each exercise and criterion has its own count."""

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from checker.render import RENDERERS, Form
from checker.render.comparison import compare
from checker.render.text import reason
from checker.verdict.outcome import CounterExample, Status
from checker.verdict.results import Result
from tests.checker.cards import card, mixed

LONG = "user_0000123, 2026-11-12T10:00:00+00:00"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Compare one that passed all but an error of ours, one that failed once, and one of each."""
    errors = {f"c2_{number}": Status.ERROR for number in range(1, 7)}
    folder = tmp_path / "graded"
    card("ann", **errors).write(folder / "ann" / "scorecard.json")
    bob = card("bob", c2_4=Status.FAIL)
    results = [
        replace(r, message="the newest values", examples=(CounterExample(LONG, "3.25", "NaN"),) * 3)
        if r.status is Status.FAIL
        else r
        for r in bob.results
    ]
    replace(bob, results=results).write(folder / "bob" / "scorecard.json")
    replace(mixed(), submission="carla").write(folder / "carla" / "scorecard.json")
    compare([folder], None, tmp_path / "out")
    return tmp_path / "out"


def test_points_and_order_leave_errors_of_ours_out(out: Path) -> None:
    rows = list(csv.DictReader((out / "compare.csv").open(newline="")))
    found = [(row["submission"], row["points"], row["of"], row["errors"]) for row in rows]
    assert found == [
        ("ann", "29.0", "29.0", "6"),
        ("bob", "34.0", "35.0", "0"),
        ("carla", "30.0", "34.0", "1"),
    ]


def test_gradescope_has_no_test_for_an_error_of_ours() -> None:
    results = json.loads(RENDERERS[Form.GRADESCOPE](mixed()))
    assert "3.1" not in [test["number"] for test in results["tests"]]
    assert sum(test["max_score"] for test in results["tests"]) == 34
    assert "30 of 34, 1 not graded" in results["output"]
    assert "3.1: the grader's own fault" in results["output"]


def test_a_failed_cell_has_the_reason() -> None:
    criterion = card().results[0].criterion
    failed = Result(criterion, Status.FAIL, measured="3 of 4", required="all", message="too few")
    assert reason(failed) == "too few; 3 of 4; required: all"
    assert reason(replace(failed, status=Status.PASS)) == "3 of 4"
    assert reason(Result(criterion, Status.FAIL)) == ""


@pytest.fixture
def page(out: Path) -> Iterator[Page]:
    """Open the comparison in a window as narrow as a telephone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        opened = browser.new_page(viewport={"width": 420, "height": 900})
        opened.goto((out / "index.html").as_uri())
        yield opened
        browser.close()


def row_of(page: Page, name: str) -> list[str]:
    row = page.locator("#table tr", has=page.get_by_role("button", name=name, exact=True))
    return [text.replace("\n", " ") for text in row.locator("td").all_inner_texts()]


def test_exercises_have_subtotals_and_criteria_a_count(page: Page) -> None:
    assert row_of(page, "2 Point-in-time training data")[1:] == [
        "0 of 0, 6 not graded",
        "5 of 6",
        "5 of 6",
    ]
    counted = row_of(page, "2.4 Feature values match manual calculations")
    assert counted[0] == "0 of 2", "one of three could not be graded"
    assert "the newest values; 3 of 4; required: all" in counted[2]
    assert "ann: 2.1, 2.2" in page.locator("p.error").inner_text()


def test_the_details_can_be_read_on_a_telephone(page: Page) -> None:
    page.get_by_role("link", name="bob").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    details = page.locator("details", has_text="the newest values")
    assert details.evaluate("found => found.clientWidth") > 340
    cells = details.locator("td, th").evaluate_all("found => found.map(c => c.clientWidth)")
    assert min(cells) > 55, "a short word takes one line"
