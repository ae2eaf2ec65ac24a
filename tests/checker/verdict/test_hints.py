"""An exception's message leads to its pitfall; a check with a more specific hint has priority."""

import re
from dataclasses import replace

import pytest

from checker.verdict.brief import BY_ID
from checker.verdict.hints import PITFALLS, hint_for
from checker.verdict.outcome import Status
from checker.verdict.results import Result
from lab.settings import ROOT

FAILED = Result(BY_ID["3.4"], Status.FAIL)
WITHOUT_PANDAS = (
    "materialize.py ended before backfill_features() was defined, with NameError: "
    "name 'pd' is not defined"
)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (WITHOUT_PANDAS, "pd is used, but neither imported nor defined"),
        ("it ended before f() was defined, with IndexError", "cuts off what stands below"),
        ("ResponseError: WRONGTYPE Operation against a key", "a hash for each entity"),
        ("ImportError: cannot import name 'TimeCharacteristic' from", "event time only"),
        ("Table options do not contain an option key 'connector' for", "write a view"),
        ("Unable to create a sink for writing table", "no connector for Redis"),
        ("error: AttributeError: STRNG", "its file and line"),
    ],
)
def test_an_exception_leads_to_its_pitfall(text: str, hint: str) -> None:
    assert hint in hint_for(replace(FAILED, message=text))
    assert hint in hint_for(replace(FAILED, message="`python job.py` ended", log_tail=text))


def test_it_is_more_to_the_point_than_the_hint_of_every_exception() -> None:
    failed = replace(FAILED, message=WITHOUT_PANDAS, hint="Kafka is at $LAB_KAFKA_PORT")
    assert hint_for(failed).startswith("pd is used")


def test_where_something_was_measured_the_check_knows_better() -> None:
    failed = replace(FAILED, message=WITHOUT_PANDAS, measured="3 of 4", hint="ours")
    assert hint_for(failed) == "ours"


def test_other_failures_keep_the_hint_of_their_check() -> None:
    assert hint_for(replace(FAILED, message="no answer within 3 s", hint="ours")) == "ours"


def test_each_link_leads_to_an_entry_of_the_errata() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/errata.md").read_text(), re.M)
    entries = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    checks = [file.read_text() for file in ROOT.glob("exercise_*/checks.py")]
    code = (ROOT / "checker" / "serving" / "server.py").read_text()
    texts = [pitfall for _, pitfall in PITFALLS] + [*checks, code]
    links = {link for text in texts for link in re.findall(r"docs/errata\.md#([\w-]+)", text)}
    assert len(links) > 10
    assert links <= entries
