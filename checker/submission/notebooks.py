"""Notebooks as scripts: their code cells, without what only a notebook understands."""

import json
import re
from collections.abc import Iterator, Sequence

from checker.submission.syntax import parsed, problem_of

MAGIC = re.compile(r"^(\s*)([!%?].*|[\w.]+\?{1,2}\s*)$")
ASSIGNED = re.compile(r"^(\s*[\w, ]+=)\s*[!%].*$")  # files = !ls data
TIMING_CELLS = ("%%time", "%%timeit", "%%capture")


def code_of_notebook(content: str) -> tuple[str, list[str]]:
    """Return the code of a notebook's JSON, and the sentences on cells that are no Python.

    Lines with ! or % are dropped, and whole cells of another language, such as %%bash; a cell that
    does not parse is left out. Raises ValueError when it is no notebook.
    """
    notebook = json.loads(content)
    try:
        cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
        codes = [_code_of_cell("".join(source)) for source in cells]
    except (KeyError, TypeError) as error:
        raise ValueError("not a notebook") from error
    problems = {number: problem_of(code) for number, code in enumerate(codes, start=1)}
    good = [code for number, code in enumerate(codes, start=1) if not problems[number]]
    broken = [f"code cell {number}, {problem}" for number, problem in problems.items() if problem]
    return "\n\n".join(good) + "\n", broken


def _code_of_cell(source: str) -> str:
    """Return the Python of a cell; one that is Python stays as it is."""
    if parsed(source):
        return source
    first = source.lstrip()
    if first.startswith("%%") and not first.startswith(TIMING_CELLS):
        return ""
    return "\n".join(_python_lines(source.splitlines()))


def _python_lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield each line; in place of a magic one `pass`, which a block may need, or nothing."""
    continued = False
    for line in lines:
        magic, assigned = MAGIC.match(line), ASSIGNED.match(line)
        if continued:
            yield ""
        elif assigned:
            yield f"{assigned[1]} None"
        elif magic:
            yield f"{magic[1]}pass" if magic[1] else ""
        else:
            yield line
        continued = line.endswith("\\") and bool(continued or magic or assigned)
