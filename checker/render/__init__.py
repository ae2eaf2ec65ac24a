"""One scorecard in the form that its reader needs: a person, a CI job, a course platform."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from checker.render import classroom50, github, gradescope, html, json, junit
from checker.verdict.results import Scorecard


class Form(StrEnum):
    """The formats of a scorecard, besides the terminal's."""

    HTML = "html"
    JSON = "json"
    JUNIT = "junit"
    GRADESCOPE = "gradescope"
    CLASSROOM50 = "classroom50"
    GITHUB = "github"


RENDERERS: Mapping[Form, Callable[[Scorecard], str]] = MappingProxyType(
    {
        Form.HTML: html.render,
        Form.JSON: json.render,
        Form.JUNIT: junit.render,
        Form.GRADESCOPE: gradescope.render,
        Form.CLASSROOM50: classroom50.render,
        Form.GITHUB: github.render,
    }
)
