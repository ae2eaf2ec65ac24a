"""Every command of the documents is run by a test or by CI, or has a mark that it is not."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from lab.settings import ROOT
from tests.test_docs import DOCUMENTS, commands_of, without_assignments

MARK = "not run by a test"
SHELL = re.compile(r"^ *```(?:bash|sh|)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
OF_THE_SHELL = {"cd", "source", "mkdir", "chmod", "export", "ln"}
PROGRAMS = {"lab", "make", "python", "pytest", "airflow", "docker", "redis-cli"}


@cache
def words_of_tests() -> list[set[str]]:
    """Return, for each file of tests, the words of its texts and the modules that it imports."""
    files = [file for file in (ROOT / "tests").rglob("*.py") if "submissions" not in file.parts]
    return [words_in(ast.parse(file.read_text())) for file in files if file != Path(__file__)]


def words_in(tree: ast.Module) -> set[str]:
    words: set[str] = set()
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if node in docstrings:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words |= {*node.value.split(), *node.value.split("/")}
        elif isinstance(node, ast.ImportFrom) and node.module:
            words |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return words


@cache
def text_of_ci() -> str:
    files = [ROOT / ".ci" / "budget", ROOT / "action.yml", *ROOT.glob(".github/workflows/*.yml")]
    return "\n".join(file.read_text() for file in files)


def documented() -> list[tuple[str, list[str]]]:
    """Return each line of a shell block that begins with a command, and the words of a command."""
    blocks = [block for document in DOCUMENTS for block in SHELL.findall(document.read_text())]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines = [line for line in lines if line.split(" ")[0] in PROGRAMS or "=" in line.split(" ")[0]]
    found = [(line, without_assignments(words)) for line in lines for words in commands_of(line)]
    return [(line, words) for line, words in found if words and words[0] not in OF_THE_SHELL]


def is_run(program: str, words: list[str]) -> bool:
    """Return True if one test file, or CI, has the sub-command with these options."""
    options = {word for word in words if word.startswith("--")}
    if program == "make":
        recipes = (ROOT / "Makefile").read_text()
        scripts = [re.search(rf"^{word}:.*\n\t@scripts/(\w+)", recipes, re.M) for word in words]
        return all(
            re.search(rf"make .*\b{word}\b", text_of_ci()) or (script and is_in_a_test({script[1]}))
            for word, script in zip(words, scripts, strict=True)
            if "=" not in word
        )
    if program == "python":
        return is_in_a_test({words[1]} if words[0] == "-m" else {words[0]})
    if program == "pytest":
        return (ROOT / words[0]).exists()
    names = words[: 2 if words[0] in ("data", "redis") else 1]
    return options == {"--help"} or is_in_a_test({*names, *options})


def is_in_a_test(words: set[str]) -> bool:
    return any(words <= of_file for of_file in words_of_tests())


@pytest.mark.parametrize(("line", "words"), documented(), ids=lambda part: str(part)[:60])
def test_a_command_is_run_or_marked(line: str, words: list[str]) -> None:
    program, *others = words
    assert is_run(program, others) != (MARK in line)


def test_few_commands_are_marked() -> None:
    assert len({line for line, _ in documented() if MARK in line}) <= 10
