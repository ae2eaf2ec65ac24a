"""Notebooks as scripts: their code cells, without the lines that only a notebook understands."""

import ast
import json
import re

MAGIC = re.compile(r"^(\s*)[!%?]")
TIMING_CELLS = ("%%time", "%%timeit", "%%capture")


def code_of_notebook(content: str) -> str:
    """The code cells of a notebook's JSON, one after the other.

    Lines with ! or % are dropped, and whole cells of another language, such as %%bash. Raises
    ValueError when it is no notebook.
    """
    notebook = json.loads(content)
    try:
        cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
        return "\n\n".join(_code_of_cell("".join(source)) for source in cells) + "\n"
    except (KeyError, TypeError) as error:
        raise ValueError("not a notebook") from error


def _code_of_cell(source: str) -> str:
    """A cell that is Python stays as it is."""
    if _is_python(source):
        return source
    first = source.lstrip()
    if first.startswith("%%") and not first.startswith(TIMING_CELLS):
        return ""
    return "\n".join(_without_magic(line) for line in source.splitlines())


def _without_magic(line: str) -> str:
    """A line; of a magic one its place, which a block may need."""
    found = MAGIC.match(line)
    return line if found is None else f"{found[1]}pass" if found[1] else ""


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
