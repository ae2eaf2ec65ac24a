"""Submissions side by side: the numbers are those of their scorecards, and the page sorts them."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from checker.render.comparison import compare
from checker.verdict.outcome import Status
from checker.verdict.results import Scorecard
from lab.errors import UserError
from tests.checker.cards import HOSTILE, card, hostile

FIGURE = "p95, ms"


def with_figure(scorecard: Scorecard, value: float) -> Scorecard:
    results = [
        replace(result, figures={FIGURE: value}) if result.criterion.id == "4.2" else result
        for result in scorecard.results
    ]
    return replace(scorecard, results=results)


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """Return a folder of three scorecards: all points, one point short, and a hostile one."""
    folder = tmp_path / "graded"
    with_figure(card("ann"), 12.5).write(folder / "ann" / "scorecard.json")
    with_figure(card("bob", c2_4=Status.FAIL), 3).write(folder / "bob" / "scorecard.json")
    replace(hostile(), submission=f"=1+1{HOSTILE}").write(folder / "x" / "scorecard.json")
    return folder


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    file = tmp_path / "reference.json"
    with_figure(card("ours"), 9).write(file)
    return file


@pytest.fixture
def out(graded: Path, reference: Path, tmp_path: Path) -> Path:
    compare([graded], reference, tmp_path / "out")
    return tmp_path / "out"


def test_the_table_has_a_row_per_submission_by_points_after_the_reference(out: Path) -> None:
    rows = list(csv.DictReader((out / "compare.csv").open(newline="")))
    assert [row["submission"] for row in rows][:3] == ["ours", "ann", "bob"]
    assert [row["passed"] for row in rows] == ["35", "35", "34", "0"]
    assert [row["2.4"] for row in rows] == ["pass", "pass", "fail", "fail"]
    assert [row[f"4.2 {FIGURE}"] for row in rows] == ["9", "12.5", "3", ""]
    assert rows[-1]["submission"].startswith("'=1+1"), "a formula of a spreadsheet"


def test_a_roster_puts_the_student_first(graded: Path, tmp_path: Path) -> None:
    roster, out = tmp_path / "roster.csv", tmp_path / "out"
    roster.write_text("\ufeffsubmission,student\nann,17\nbob,18\nbob,19\neve,=20\n")
    compare([graded], None, out, roster)
    rows = list(csv.DictReader((out / "compare.csv").open(newline="")))
    found = [(row["student"], row["submission"], row["passed"]) for row in rows]
    assert found[:3] == [("17", "ann", "35"), ("18", "bob", "34"), ("19", "bob", "34")]
    assert (found[3][0], found[4]) == ("", ("'=20", "eve", None)), "no student; no submission"


@pytest.mark.parametrize("text", [None, "", "name,id\na,1\n", "submission,student\na\n"])
def test_a_roster_needs_its_columns(text: str | None, graded: Path, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    if text is not None:
        roster.write_text(text)
    with pytest.raises(UserError, match="columns student and submission"):
        compare([graded], None, tmp_path / "out", roster)


def test_the_json_has_what_was_measured(out: Path) -> None:
    content = json.loads((out / "compare.json").read_text())
    first, ann, *_ = content["submissions"]
    assert (first["is_reference"], ann["is_reference"]) == (True, False)
    measured = {"status": "pass", "measured": "3 of 4", "figures": {FIGURE: 12.5}}
    assert ann["criteria"]["4.2"] == measured
    assert content["figures"] == [{"id": "4.2", "name": FIGURE}]


def test_each_submission_has_a_page_inside_the_folder(out: Path) -> None:
    index = (out / "index.html").read_text()
    pages = set(re.findall(r'href="([^"#]+)"', index))
    assert len(pages) == 4
    assert all((out / page).resolve().is_relative_to(out.resolve()) for page in pages)
    assert all((out / page).is_file() for page in pages)


def test_no_page_of_an_earlier_comparison_is_left(out: Path, graded: Path) -> None:
    note = out / "submissions" / "note.html"
    note.write_text("mine")
    with_figure(card("ann", c2_4=Status.FAIL, c2_5=Status.FAIL), 3).write(
        graded / "ann" / "scorecard.json"
    )
    columns = compare([graded], None, out)
    pages = {str(page.relative_to(out)) for page in note.parent.iterdir()} - {
        "submissions/note.html"
    }
    assert pages == {column.page for column in columns}
    assert note.exists()


def test_a_reference_that_lies_among_the_others_is_there_once(graded: Path, tmp_path: Path) -> None:
    columns = compare([graded], graded / "ann" / "scorecard.json", tmp_path / "out")
    assert [column.card.submission for column in columns][:2] == ["ann", "bob"]
    assert len(columns) == 3


def test_without_a_scorecard_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no scorecard\.json"):
        compare([tmp_path], None, tmp_path / "out")


# ---- In a browser ------------------------------------------------------------------------------


@pytest.fixture
def page(out: Path) -> Iterator[Page]:
    """Open the page; an error of any script but ours fails the test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        opened = browser.new_page()
        alerts: list[str] = []
        opened.on("dialog", lambda dialog: alerts.append(dialog.message))
        opened.goto((out / "index.html").as_uri())
        yield opened
        assert alerts == []
        browser.close()


def shown_names(page: Page) -> list[str]:
    names = page.locator("#table tr:first-child th:visible").all_inner_texts()
    return [name.split("\n")[0] for name in names[2:]]


def test_a_click_sorts_by_a_figure_and_leaves_the_reference(page: Page) -> None:
    page.get_by_role("button", name=f"4.2 {FIGURE}").click()
    assert shown_names(page)[:3] == ["ours (reference)", "ann", "bob"]
    page.get_by_role("button", name=f"4.2 {FIGURE}").click()
    assert shown_names(page)[:3] == ["ours (reference)", "bob", "ann"]


def test_the_filters_leave_what_is_selected(page: Page) -> None:
    page.get_by_label("submission").fill("BO")
    assert shown_names(page) == ["ours (reference)", "bob"]
    page.get_by_label("only rows").check()
    rows = page.locator("#table tr[data-exercise]:visible th").all_inner_texts()
    assert rows == ["2.4 Feature values match manual calculations"]
    page.get_by_label("exercise").select_option("1")
    assert page.locator("#table tr[data-exercise]:visible").count() == 0
    page.reload()
    page.get_by_label("only measured figures").check()
    rows = page.locator("#table tr[data-exercise]:visible th").all_inner_texts()
    assert rows == [f"4.2 {FIGURE}"]
