"""The documents match the project: links, commands, criteria, settings and the example resolve."""

import doctest
import re
import runpy
import shlex
import subprocess
from itertools import groupby
from pathlib import Path

import pytest
import typer

from checker.cli import app
from checker.settings import CheckerSettings
from checker.submission.names import OVERRIDES, SECTIONS, read_names
from checker.verdict.brief import BY_ID
from checker.verdict.criterion import checks_in
from lab.settings import settings
from scripts.map_lines import with_lines
from tests.readme import shown_output

ROOT = settings.root
CONTRACT = ROOT / "docs" / "contract.md"
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "exercise_*/README.md", "lab/starter/*.md")
    for file in ROOT.glob(pattern)
)
OTHER_COMMANDS = {
    "feast",
    "redis-cli",
    "git",
    "cd",
    "source",
    "mkdir",
    "chmod",
    "python",
    "pytest",
}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TARGET = re.compile(r"^([\w-]+):", re.MULTILINE)
SETTING = re.compile(r"\bLAB_([A-Z][A-Z0-9_]*)")
CRITERION_ROW = re.compile(r"^\| (\d\.\d) \| ([^|]+?) \|", re.MULTILINE)

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT))
)


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [text for name, text in FENCE.findall(document.read_text()) if name == language]


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return FENCE.sub("", document.read_text())


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = [heading.strip().lower() for heading in HEADING.findall(prose(document))]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def commands(document: Path) -> list[list[str]]:
    """Return the commands of bash blocks by words, without comments and NAME=value prefixes."""
    lines = "\n".join(blocks(document, "bash")).replace("\\\n", " ").splitlines()
    found = [without_assignments(words) for line in lines for words in commands_of(line)]
    return [words for words in found if words]


def commands_of(line: str) -> list[list[str]]:
    """Return a line's commands, split at && ; and |."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
    lexer.whitespace_split = True
    parts = groupby(lexer, key=lambda word: set(word) <= set("&;|"))
    return [list(words) for is_operator, words in parts if not is_operator]


def without_assignments(words: list[str]) -> list[str]:
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    return words


@each_document
def test_relative_links_resolve(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@each_document
def test_commands_exist(document: Path) -> None:
    for name, *words in commands(document):
        if name == "make":
            assert_targets_exist(words)
        elif Path(name).name == "lab":
            assert_lab_takes(words)
        elif name == "docker":
            assert_docker_takes(words)
        else:
            assert name in OTHER_COMMANDS, f"{name}: not a command of this project"


def assert_targets_exist(words: list[str]) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    assert without_options(words) <= targets, f"make {' '.join(words)}"


def assert_docker_takes(words: list[str]) -> None:
    """Assert that the profile or the image's file exists, and that lab accepts its words."""
    if words[0] == "compose":
        assert f"profiles: [{words[2]}]" in (ROOT / "docker-compose.yml").read_text()
    elif words[0] == "build":
        assert (ROOT / words[words.index("--file") + 1]).is_file()
    else:
        assert words[0] == "run"
        assert_lab_takes(words[words.index("lab") + 1 :])


def without_options(words: list[str]) -> set[str]:
    return {word for word in words if not word.startswith("-") and "=" not in word}


def assert_lab_takes(words: list[str]) -> None:
    """Let Typer parse the words, sub-commands first; it raises on what it does not know."""
    command = typer.main.get_command(app)
    while sub_commands := getattr(command, "commands", None):
        assert words, "lab: a sub-command is missing"
        if any(words[0] in option.opts for option in command.params):
            return  # such as --install-completion
        assert words[0] in sub_commands, f"lab: no sub-command {words[0]}"
        command, words = sub_commands[words[0]], words[1:]
    if words != ["--help"]:
        command.make_context("lab", list(words))


@each_document
def test_settings_exist(document: Path) -> None:
    text = document.read_text()
    added = set(re.findall(r"^    (\w+): ", text, re.MULTILINE))  # by a recipe of the document
    mentioned = {name.lower() for name in SETTING.findall(text)}
    assert mentioned <= set(CheckerSettings.model_fields) | added


def test_the_learners_map_has_todays_lines_outputs_and_every_criterion() -> None:
    text = (ROOT / "docs" / "learn.md").read_text()
    assert with_lines(text) == text, "next: python -m scripts.map_lines"
    rows = [
        row.split(" | ") for row in text.splitlines() if "](../exercise_0" in row and "| `" in row
    ]
    assert len(rows) > 25
    for _, place, _, output, _ in rows:
        folder = (ROOT / re.findall(r"\.\./(\w+)", place)[0]).glob("*.py")
        source = " ".join("".join(file.read_text() for file in folder).replace('"', "").split())
        for part in re.findall(r"`(.*)`", output):
            assert all(fixed.strip() in source for fixed in part.split("…")), part
    criteria = " ".join(row[-1] for row in rows)
    assert set(re.findall(r"\d\.\d", criteria)) == set(BY_ID)


def test_the_examples_of_the_concepts_give_what_is_printed() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "concepts.md"), module_relative=False)
    assert result.attempted > 20
    assert not result.failed


def test_the_pictures_are_those_of_the_script(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "scripts" / "pictures.py"))["main"](tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (ROOT / "docs" / "images" / file.name).read_bytes(), file.name
    assert len(list(tmp_path.iterdir())) == 10


def test_the_site_is_built_without_warnings_and_has_the_documents() -> None:
    subprocess.run([ROOT / "scripts" / "site"], check=True, timeout=300)
    listed = re.findall(r"^ +- ([\w./-]+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {re.sub("README$", "index", name) for name in listed}
    missing = [p for p in pages if not (ROOT / "build" / "site" / f"{p}.html").is_file()]
    documents = {str(d.relative_to(ROOT).with_suffix("")) for d in DOCUMENTS}
    assert not missing
    assert documents - set(listed) == {"AGENTS"}


def test_contract_lists_the_criteria_that_have_checks() -> None:
    listed = dict(CRITERION_ROW.findall(CONTRACT.read_text()))
    assert listed == {identifier: BY_ID[identifier].title for identifier in checks_in(ROOT)}


def test_contract_states_what_each_criterion_needs() -> None:
    rows = re.findall(r"^\| (\d\.\d) \|[^|]+\|([^|]*)\|", CONTRACT.read_text(), re.MULTILINE)
    assert rows
    assert {key: tuple(needs.replace(",", " ").split()) for key, needs in rows} == {
        key: BY_ID[key].needs for key, _ in rows
    }


@pytest.mark.parametrize(
    "document",
    sorted(ROOT.glob("exercise_*/README.md")),
    ids=lambda file: file.parent.name,
)
def test_readme_lists_its_six_criteria(document: Path) -> None:
    number = int(document.parent.name.split("_")[1])
    listed = dict(CRITERION_ROW.findall(document.read_text()))
    assert listed == {c.id: c.title for c in BY_ID.values() if c.exercise == number}


def test_the_example_of_submission_toml_is_valid(tmp_path: Path) -> None:
    (example,) = blocks(CONTRACT, "toml")
    (tmp_path / OVERRIDES).write_text(example)
    names = read_names(tmp_path)
    assert names.key("user_id") == "customer_id"
    assert names.feature("user_transaction_features", "transaction_count_7d") == (
        "customer_stats",
        "tx_7d",
    )
    assert names.prepare
    assert all(f"`{section}`" in CONTRACT.read_text() for section in SECTIONS)


def test_the_architecture_lists_every_folder_on_one_page() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    listed = {name for line in text.splitlines() for name in re.findall(r"^- .*", line)}
    folders = {Path(name).parts[0] for item in listed for name in re.findall(r"`([\w.]+)/`", item)}
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert packages | {folder.name for folder in ROOT.glob("exercise_*")} <= folders
    assert len(text.split()) <= 900


def test_the_readme_shows_ten_lines_of_the_output_of_make_run() -> None:
    """The tests of exercises 1 to 4 and of the scorecard compare their output with these."""
    lines = shown_output()
    assert len(lines) == 10
    begun = [line.split(":")[0] for line in lines if line.startswith("Exercise")]
    assert begun == [f"Exercise {number}" for number in range(1, 5)]


def test_the_written_pages_stay_below_32_000_words() -> None:
    """Code does not count, nor do the pages of verdicts, which are made."""
    made = {"mutants.md", "mutation-score.md", "scorecard.md"}
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name not in made]
    assert sum(map(words_in, pages)) < 32_000
    assert max(map(words_in, ROOT.glob("exercise_*/README.md"))) <= 700


def words_in(page: Path) -> int:
    return len(re.findall(r"\S*\w\S*", prose(page)))
