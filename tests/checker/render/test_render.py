"""Every form of a scorecard is what its reader publishes, whatever a submission wrote into it."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt
from rich.console import Console
from typer.testing import CliRunner

from checker.cli import app
from checker.render import RENDERERS, Form
from checker.render.classroom50 import IDENTITY
from checker.render.terminal import show
from checker.verdict.outcome import Status
from checker.verdict.plain_text import LONGEST, plain
from checker.verdict.results import Scorecard, read_scorecard
from lab.errors import UserError
from tests.checker.cards import card, hostile, mixed
from tests.readme import shown_output

MEBIBYTE = 1024 * 1024
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff\ufffe]")
TEST_FIELDS = {
    "number": str,
    "name": str,
    "score": float,
    "max_score": float,
    "status": str,
    "output": str,
    "output_format": str,
    "tags": list,
    "visibility": str,
}  # Of junit-10.xsd of Jenkins' xunit plug-in: what an element may hold, and what it must
JUNIT_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out"},
}
SCORES = ("score", "max-score")
COUNTS = {"tests", "failures", "errors"}
JUNIT_ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", *COUNTS}),
    "testsuite": ({"name", *COUNTS}, {"name", "time", "skipped", "timestamp", *COUNTS}),
    "property": ({"name", "value"}, {"name", "value"}),
    "testcase": ({"name"}, {"name", "time", "classname"}),
    **dict.fromkeys(("skipped", "error", "failure"), (set(), {"type", "message"})),
}

each_form = pytest.mark.parametrize("form", list(Form))


def written(form: Form, scorecard: Scorecard) -> str:
    return RENDERERS[form](scorecard)


@each_form
@pytest.mark.parametrize("length", [1, 500])
def test_no_form_lets_control_characters_through(form: Form, length: int) -> None:
    text = written(form, hostile(length))
    assert not CONTROLS.search(text)
    text.encode()


def shown(scorecard: Scorecard) -> str:
    """Return the output of a terminal."""
    output = StringIO()
    show(scorecard, Console(file=output, width=200, force_terminal=False))
    return output.getvalue()


def test_the_terminal_lets_no_codes_of_theirs_through() -> None:
    output = shown(hostile())
    assert not CONTROLS.search(output)
    assert "<script>" in output


def test_a_failure_names_the_errata_of_its_criterion() -> None:
    output = " ".join(shown(mixed()).split())
    assert "the brief: The manual query (docs/errata.md#the-manual-query)" in output
    assert "the brief: Ids among the features" not in output


def test_a_run_ends_with_the_scorecard_of_the_readme() -> None:
    output = " ".join(shown(card()).split())
    row, bar = (" ".join(line.split()) for line in shown_output()[-2:])
    assert row in output
    assert output.endswith(bar)


@pytest.mark.parametrize(
    ("scorecard", "next_step"),
    [
        (card(c2_1=Status.NOT_ATTEMPTED, c2_2=Status.NOT_ATTEMPTED), "check 2.1 --hint"),
        (mixed(), "check 2.4 --hint"),
        (card(), None),
    ],
)
def test_the_terminal_names_the_next_step(scorecard: Scorecard, next_step: str | None) -> None:
    named = re.findall(r"next: lab (.+)", shown(scorecard))
    assert (named[0] if named else None) == next_step


@each_form
def test_a_form_shows_where_a_submission_failed(form: Form) -> None:
    text = written(form, mixed())
    assert "theirs" in text
    assert "Feature values match manual calculations" in text


def test_text_is_cut_visibly() -> None:
    assert plain("a" * LONGEST) == "a" * LONGEST
    assert plain("b" + "a" * LONGEST).endswith("a[… cut]")
    assert plain("a" * LONGEST + "b", keep_end=True).endswith("ab")


def test_an_endless_terminal_code_does_not_hide_what_follows() -> None:
    assert plain("\x1b]0;title\x1b[0mafter") == "after"
    assert plain("\x1b[31mred\x1b[0m\r\nnext") == "red\nnext"


# ---- JSON --------------------------------------------------------------------------------------


def test_a_scorecard_is_read_back_as_it_was(tmp_path: Path) -> None:
    for number, scorecard in enumerate([mixed(), hostile()]):
        file = tmp_path / f"{number}.json"
        file.write_text(written(Form.JSON, scorecard))
        assert read_scorecard(file) == scorecard


def test_a_scorecard_names_what_it_was_made_with() -> None:
    content = json.loads(written(Form.JSON, mixed()))
    versions = ("contract_version", "grader_version", "lock_hash", "thresholds_hash", "machine")
    assert all(content[name] for name in versions)
    assert content["seed"] == 7
    assert content["thresholds"]["serving_p95_ms"] == 15
    criterion = content["exercises"][1]["criteria"][3]
    assert criterion["replay"] == "lab check 2 --submission theirs --seed 7"
    assert {"notes", "examples", "log_tail", "weight"} <= set(criterion)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"exercises": [{"criteria": [{}]}]}'])
def test_another_file_is_no_scorecard(content: str, tmp_path: Path) -> None:
    file = tmp_path / "scorecard.json"
    file.write_text(content)
    with pytest.raises(UserError, match="holds no scorecard"):
        read_scorecard(file)


# ---- JUnit -------------------------------------------------------------------------------------


def test_junit_counts_what_the_scorecard_counts() -> None:
    suites = JUnitXml.fromstring(written(Form.JUNIT, mixed()).encode())
    assert (suites.tests, suites.failures, suites.errors) == (35, 1, 1)
    by_name = {suite.name: suite for suite in suites}
    assert len(by_name) == 6
    found = by_name["3 Materialize to Redis"]
    assert (found.tests, found.failures, found.errors, found.skipped) == (6, 0, 1, 1)
    kinds = {case.name[:3]: type(case.result[0]) for case in found if case.result}
    assert kinds == {"3.1": Error, "3.2": Skipped}
    wrong = next(case for case in by_name["2 Point-in-time training data"] if case.result)
    assert isinstance(wrong.result[0], Failure)
    assert "measured: 3 of 4" in wrong.result[0].text


@pytest.mark.parametrize("scorecard", [mixed(), hostile()], ids=["mixed", "hostile"])
def test_junit_follows_the_schema(scorecard: Scorecard) -> None:
    root = ET.fromstring(written(Form.JUNIT, scorecard).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        required, allowed = JUNIT_ATTRIBUTES.get(element.tag, (set(), set()))
        assert required <= set(element.attrib) <= allowed, element.tag
        assert {child.tag for child in element} <= JUNIT_CHILDREN.get(element.tag, set())
        assert re.fullmatch(r"\d+(\.\d+)?", element.get("time", "0"))


def test_junit_keeps_hostile_text_as_text() -> None:
    suites = JUnitXml.fromstring(written(Form.JUNIT, hostile(50)).encode())
    assert suites.failures == 35
    case = next(iter(next(iter(suites))))
    assert "<script>alert(1)</script>" in case.result[0].message


# ---- Gradescope --------------------------------------------------------------------------------


def test_classroom_50_has_the_published_fields_and_whole_scores() -> None:
    results = json.loads(written(Form.CLASSROOM50, mixed()))
    assert results["schema"] == "classroom50/result/v1"
    assert all(results[field] for field in (*IDENTITY, "datetime"))
    assert all(type(test[name]) is int for test in results["tests"] for name in SCORES)
    assert [results[name] for name in SCORES] == [
        sum(test[name] for test in results["tests"]) for name in SCORES
    ]
    assert results["max-score"] == 34  # one is an error of the grader
    assert {test["passed"] for test in results["tests"]} == {True, False}


def test_classroom_50_has_hundredths_of_points_where_a_weight_has_a_fraction() -> None:
    first, *others = card().results
    scorecard = replace(card(), results=[replace(first, weight=0.5), *others])
    assert json.loads(written(Form.CLASSROOM50, scorecard))["max-score"] == 3_450


def test_classroom_50s_form_names_what_its_runner_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLASSROOM")
    with pytest.raises(UserError, match="sets CLASSROOM, which"):
        written(Form.CLASSROOM50, card())


def test_gradescope_has_the_published_fields() -> None:
    results = json.loads(written(Form.GRADESCOPE, mixed()))
    published = {"score", "execution_time", "output", "output_format", "visibility"}
    published |= {"stdout_visibility", "tests", "extra_data"}
    assert set(results) <= published
    assert results["score"] == sum(test["score"] for test in results["tests"]) == 30
    assert isinstance(results["execution_time"], int)
    assert {results["visibility"], *(t["visibility"] for t in results["tests"])} == {"visible"}
    for test in results["tests"]:
        assert {name: type(value) for name, value in test.items()} == TEST_FIELDS
        assert test["status"] == ("passed" if test["score"] == test["max_score"] else "failed")


# ---- GitHub ------------------------------------------------------------------------------------


def test_github_summary_fits_and_keeps_the_table() -> None:
    text = written(Form.GITHUB, hostile(500))
    assert len(text.encode()) < MEBIBYTE
    assert text.count("| ❌ |") == 35


def test_github_summary_names_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.render.github.LIMIT_BYTES", 8_000)
    text = written(Form.GITHUB, hostile())
    assert len(text.encode()) < 8_200
    assert text.endswith("the scorecard has them all.\n")


def test_github_summary_is_markdown_without_markup_of_theirs() -> None:
    markdown = MarkdownIt("gfm-like", {"linkify": False})
    page = markdown.render(written(Form.GITHUB, hostile()))
    assert page.count("<tr>") == 36
    assert page.count("<h3>") == 35
    outside_code = re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.search(r"<(?:a|img|script|h1|code)\b", outside_code)


# ---- HTML --------------------------------------------------------------------------------------


def test_html_escapes_what_they_wrote_and_needs_no_network() -> None:
    page = written(Form.HTML, hostile())
    assert not re.search(r"<(?:script|img|iframe|link|object)\b", page)
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=\"?http", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


# ---- The command -------------------------------------------------------------------------------


def test_the_command_writes_a_stored_scorecard_in_another_form(tmp_path: Path) -> None:
    stored, page = tmp_path / "scorecard.json", tmp_path / "pages" / "scorecard.html"
    mixed().write(stored)
    assert CliRunner().invoke(app, ["render", str(stored), "--out", str(page)]).exit_code == 0
    assert page.read_text() == written(Form.HTML, read_scorecard(stored))
    done = CliRunner().invoke(app, ["render", str(stored), "--format", "junit"])
    assert JUnitXml.fromstring(done.stdout.encode()).tests == 35
