"""Scorecards written by hand: one verdict of each kind, and texts of a hostile submission."""

from dataclasses import replace

from checker.settings import CheckerSettings
from checker.verdict.brief import CRITERIA
from checker.verdict.outcome import CounterExample, Status
from checker.verdict.provenance import provenance
from checker.verdict.results import Result, Scorecard
from lab.settings import ROOT

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x00\u202e"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
MARKDOWN = "| a | [link](javascript:x) ![i](http://e) @everyone `code` ``` ]]> \n# heading"
HOSTILE = f"{ESCAPE}{HTML}{MARKDOWN}\ud800\ufffe"

FOLDER = ROOT / "lab" / "starter"


def card(submission: str = "theirs", **statuses: Status) -> Scorecard:
    """Return a scorecard of 35 passes, except for `statuses`, such as c2_4=Status.FAIL."""
    results = []
    for criterion in CRITERIA:
        status = statuses.get(f"c{criterion.id.replace('.', '_')}", Status.PASS)
        results.append(Result(criterion, status, measured="3 of 4", required="all", seconds=1.25))
    return Scorecard(
        submission, 7, results, provenance(CheckerSettings(), FOLDER), {"source": "simulated"}
    )


def mixed() -> Scorecard:
    """Return a scorecard with a verdict of each kind."""
    return card(
        c2_4=Status.FAIL,
        c3_1=Status.ERROR,
        c3_2=Status.SKIPPED,
        c5_1=Status.NOT_ATTEMPTED,
        c5_2=Status.NOT_ATTEMPTED,
    )


def hostile(length: int = 1) -> Scorecard:
    """Return a scorecard that fails every criterion, each text `length` times hostile."""
    text = HOSTILE * length
    results = [
        Result(
            criterion,
            Status.FAIL,
            measured=text,
            required=text,
            message=text,
            hint=text,
            examples=(CounterExample(text, text, text),) * 3,
            notes=(text,),
            log_tail=text,
        )
        for criterion in CRITERIA
    ]
    return replace(card(text), results=results)


def not_passed(card: Scorecard) -> dict[str, tuple[Status, str]]:
    """Return the output to read after an unexpected verdict."""
    return {
        r.criterion.id: (r.status, f"{r.measured} {r.message} {r.log_tail[-500:]}")
        for r in card.results
        if r.status is not Status.PASS
    }
