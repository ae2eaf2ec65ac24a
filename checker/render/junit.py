"""JUnit's XML, as Jenkins' xunit plug-in and Maven's Surefire define it: a suite per exercise."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from checker.render.text import headline, lines_of
from checker.verdict.brief import EXERCISES
from checker.verdict.outcome import Status
from checker.verdict.results import Result, Scorecard

ELEMENT_OF = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.SKIPPED: "skipped",
    Status.NOT_ATTEMPTED: "skipped",
}


def render(card: Scorecard) -> str:
    """XML, UTF-8. A criterion is a test case; one that was skipped or not attempted is skipped."""
    root = ET.Element("testsuites", {"name": card.submission, **_counts(card.results)})
    for number, title in EXERCISES.items():
        results = card.of_exercise(number)
        if results:
            root.append(_suite(card, f"{number} {title}", results))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(card: Scorecard, name: str, results: list[Result]) -> ET.Element:
    skipped = sum(ELEMENT_OF.get(result.status) == "skipped" for result in results)
    attributes = {"name": name, **_counts(results), "skipped": str(skipped)}
    suite = ET.Element("testsuite", {**attributes, "timestamp": card.provenance.graded_at})
    properties = ET.SubElement(suite, "properties")
    for key, value in {"seed": card.seed, **_versions(card)}.items():
        ET.SubElement(properties, "property", {"name": key, "value": str(value)})
    suite.extend(_case(card, name, result) for result in results)
    return suite


def _case(card: Scorecard, suite: str, result: Result) -> ET.Element:
    name = f"{result.criterion.id} {result.criterion.title}"
    case = ET.Element("testcase", {"classname": suite, "name": name, "time": str(result.seconds)})
    element = ELEMENT_OF.get(result.status)
    if element:
        attributes = {"type": result.status.value, "message": headline(result)}
        ET.SubElement(case, element, attributes).text = "\n".join(lines_of(card, result))
    else:
        ET.SubElement(case, "system-out").text = "\n".join(lines_of(card, result))
    return case


def _counts(found: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(found)),
        "failures": str(sum(result.status is Status.FAIL for result in found)),
        "errors": str(sum(result.status is Status.ERROR for result in found)),
        "time": f"{sum(result.seconds for result in found):.2f}",
    }


def _versions(card: Scorecard) -> dict[str, str]:
    made_with = card.provenance
    return {
        "contract_version": made_with.contract_version,
        "grader_version": made_with.grader_version,
        "lock_hash": made_with.lock_hash,
        "thresholds_hash": made_with.thresholds_hash,
    }
