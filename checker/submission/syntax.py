"""Code that Python cannot read: the line, its text, and whether a newer Python could read it."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from pathlib import Path

VERSION = ".".join(map(str, sys.version_info[:2]))
RUFF = Path(sys.executable).with_name("ruff")
ADDED_LATER = "syntax was added in Python"
LONGEST_LINE = 120
RUFF_LIMIT_S = 30
DECLARED = re.compile(r"\A((?:.*\n)?[ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+")


def parsed(source: str | bytes) -> ast.Module | None:
    """Return the tree of some code; None where it is no Python, or of another one."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def as_utf8(content: bytes) -> bytes:
    """Return a text as UTF-8 without a byte order mark, by the encoding that a script declares.

    A text that is not in that encoding stays as it is, as Python refuses it.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        return content
    return DECLARED.sub(r"\1utf-8", text).encode()


def problem_of(source: str | bytes) -> str:
    """Return why some code cannot be read, with its line and text; "" for code that can be."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        reason = _newer_syntax(source) or error.msg
        return f"line {error.lineno or 1} is not Python ({reason}): {_line(source, error.lineno)}"
    except ValueError as error:  # a null byte, as in UTF-16
        return f"it is not Python ({error})"
    except (RecursionError, MemoryError):
        return "it is nested too deeply for Python"
    return ""


def _line(source: str | bytes, number: int | None) -> str:
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    lines = text.splitlines()[(number or 1) - 1 :][:1]
    return "".join(lines).strip()[:LONGEST_LINE]


def _newer_syntax(source: str | bytes) -> str:
    """Return Ruff's sentence on syntax of a newer Python than the grader's; "" where there is none.

    Ruff reads the syntax of all versions; each finding names the version that added it.
    """
    command = [str(RUFF), "check", "--isolated", "--no-cache", "--output-format", "json", "-"]
    version = f"--target-version=py{VERSION.replace('.', '')}"
    content = source.encode(errors="replace") if isinstance(source, str) else source
    done = subprocess.run(
        [*command, version], input=content, capture_output=True, check=False, timeout=RUFF_LIMIT_S
    )
    found = json.loads(done.stdout or b"[]")
    messages = [finding["message"] for finding in found if finding["name"] == "invalid-syntax"]
    newer = all(ADDED_LATER in message for message in messages)
    return f"{messages[0]}; the grader runs Python {VERSION}" if messages and newer else ""
