"""The output of `make run` in README.md, for the tests that print a part of it."""

import re

from lab.settings import ROOT

FIGURE = re.compile(r"\d[\d,.:-]*")


def shown_output() -> list[str]:
    """Return the lines that README.md shows."""
    text = (ROOT / "README.md").read_text()
    return text[text.index("```\nExercise 1") :].split("```")[1].strip().splitlines()


def assert_shown(exercise: int, output: str) -> None:
    """Assert that the output has the README's lines of an exercise, with any figures."""
    *lines, _, _ = shown_output()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"Exercise {exercise}"))
    others = (n for n, line in enumerate(lines) if n > first and line.startswith("Exercise"))
    for line in lines[first : next(others, None)]:
        assert _without_figures(line) in _without_figures(output)


def _without_figures(text: str) -> str:
    return FIGURE.sub("0", " ".join(text.split()))
