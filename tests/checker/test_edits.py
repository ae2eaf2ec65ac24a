"""Edits find their place by symbol, syntax tree or key, and fail where they have none."""

from pathlib import Path
from typing import Any

import pytest

from tests.checker.mutants import MutantError, mutant_of

SERVICE = """
import os

LIMIT = 10


class Basket:
    size: int = 3

    def total(self, rates):
        \"\"\"Add up.\"\"\"
        # with tax
        tax = rates[0] * LIMIT
        return self.size + tax


@cached(maxsize=LIMIT)
def rates(path):
    with open(path) as file:
        rows = [line for line in file]
    print(f"read {len(rows)}")
    return rows
"""
STORE = "project: shop\nonline_store:\n  type: redis  # the fast one\n"
NAMES = '[features]\n"view:a" = "view:b"\n\n[streaming]\nlateness_s = 60\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "store.yaml").write_text(STORE)
    (tmp_path / "names.toml").write_text(NAMES)
    (tmp_path / "crontab").write_text("@daily true\n")
    return tmp_path


def write(folder: Path, *edits: dict[str, Any], **fields: Any) -> None:
    mutant_of(
        {"criterion": "1.1", "name": "slip", "mistake": "A slip.", "edits": edits, **fields}
    ).write(folder)


def edited(folder: Path, **edit: Any) -> str:
    """Return the lines that an edit of service.py changes: `-` for gone, `+` for new."""
    write(folder, {"file": "service.py", **edit})
    before, after = SERVICE.splitlines(), (folder / "service.py").read_text().splitlines()
    gone = [f"-{line}" for line in before if line not in after]
    return "\n".join([*gone, *(f"+{line}" for line in after if line not in before)])


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ({"symbol": "LIMIT", "new": "LIMIT = 20"}, "-LIMIT = 10\n+LIMIT = 20"),
        (
            {"symbol": "Basket.size", "new": "size: int = 4"},
            "-    size: int = 3\n+    size: int = 4",
        ),
        (
            {"symbol": "rates.rows", "new": "rows = []"},
            "-        rows = [line for line in file]\n+        rows = []",
        ),
        (
            {"statement": "tax=(rates[0]*LIMIT)", "new": "tax = 0\ntax += 1"},
            "-        tax = rates[0] * LIMIT\n+        tax = 0\n+        tax += 1",
        ),
        (
            {"symbol": "rates", "statement": "open(path)", "new": "open('a')"},
            "-    with open(path) as file:\n+    with open('a') as file:",
        ),
        ({"statement": "import os", "new": ""}, "-import os"),
    ],
    ids=["assignment", "nested", "in a block", "by its tree", "expression", "removed"],
)
def test_a_place_is_found_by_symbol_or_by_tree(
    edit: dict[str, str], changed: str, folder: Path
) -> None:
    assert edited(folder, **edit) == changed


def test_a_function_is_removed_with_its_decorator(folder: Path) -> None:
    edited(folder, symbol="rates", new="")
    left = (folder / "service.py").read_text()
    assert "rates(path)" not in left
    assert "cached" not in left


def test_a_method_is_replaced_at_its_indentation(folder: Path) -> None:
    edited(folder, symbol="Basket.total", new='def total(self):\n    return """\nsum\n"""\n')
    expected = '    def total(self):\n        return """\nsum\n"""\n'
    assert expected in (folder / "service.py").read_text()


def test_consecutive_statements_are_replaced(folder: Path) -> None:
    both = "tax = rates[0] * LIMIT\nreturn self.size + tax"
    edited(folder, symbol="Basket.total", statement=both, new="return 0")
    assert "tax" not in (folder / "service.py").read_text().partition("with tax")[2]


def test_signs_of_several_bytes_move_nothing(folder: Path) -> None:
    (folder / "service.py").write_text("a = 'é€'; b = 1\n")
    write(folder, {"file": "service.py", "symbol": "b", "new": "b = 'ü'"})
    assert (folder / "service.py").read_text() == "a = 'é€'; b = 'ü'\n"


def test_keys_of_yaml_are_set_and_removed(folder: Path) -> None:
    write(
        folder,
        {"file": "store.yaml", "key": "online_store.type", "value": "sqlite"},
        {"file": "store.yaml", "key": "batch_engine.type", "value": "local", "new_key": True},
        {"file": "store.yaml", "key": "project"},
    )
    expected = "online_store:\n  type: sqlite\nbatch_engine:\n  type: local\n"
    assert (folder / "store.yaml").read_text() == expected


def test_keys_of_toml_are_set_and_removed(folder: Path) -> None:
    write(
        folder,
        {"file": "names.toml", "key": "streaming.lateness_s", "value": 5},
        {"file": "names.toml", "key": "features.view:a"},
        {"file": "names.toml", "key": "serving.start", "value": 'say "é"', "new_key": True},
    )
    expected = '[features]\n\n[streaming]\n"lateness_s" = 5\n\n[serving]\n"start" = "say \\"é\\""\n'
    assert (folder / "names.toml").read_text() == expected


def test_a_file_is_created_or_rewritten(folder: Path) -> None:
    write(
        folder,
        {"file": "app/more.py", "create": "more = 1\n"},
        {"file": "crontab", "rewrite": "@hourly true\n"},
    )
    assert (folder / "app" / "more.py").read_text() == "more = 1\n"
    assert (folder / "crontab").read_text() == "@hourly true\n"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"file": "no.py", "symbol": "a", "new": ""}, "there is no no.py"),
        ({"symbol": "total", "new": ""}, "service.py has no definition of total"),
        ({"symbol": "LIMIT", "new": "LIMIT = (10)  # ten"}, "changes nothing in service.py"),
        ({"symbol": "LIMIT", "new": "LIMIT ="}, "service.py is no longer Python"),
        ({"statement": "tax = 1", "new": ""}, "service.py has no match of `tax = 1`"),
        ({"statement": "LIMIT", "new": "1"}, "service.py has 2 matches of `LIMIT`"),
        ({"statement": "LIMIT", "symbol": "Basket.size", "new": "1"}, "in Basket.size no match"),
        ({"statement": "tax = = 1", "new": ""}, "an edit of service.py is not Python"),
        ({"statement": "len(rows)", "new": "0"}, "no match of `len(rows)`"),
        ({"file": "store.yaml", "key": "offline_store"}, "store.yaml has no key offline_store"),
        ({"file": "store.yaml", "key": "engine.type", "value": "a"}, "has no key engine.type"),
        ({"file": "store.yaml", "key": "project", "value": "a", "new_key": True}, "has a key"),
        ({"file": "store.yaml", "key": "project", "value": "shop"}, "nothing in store.yaml"),
        ({"file": "names.toml", "key": "streaming.lateness_s", "value": 60}, "changes nothing"),
        ({"create": "a = 1"}, "service.py exists already"),
        ({"file": "cron", "rewrite": "a"}, "there is no cron"),
        ({"file": "crontab", "rewrite": "@daily true\n"}, "changes nothing in crontab"),
        ({"rewrite": "a = 1"}, "service.py is edited by symbol"),
        ({"old": "a", "new": "b"}, "the keys file, old, new, which are no kind of edit"),
        ({"symbol": "LIMIT", "create": "a"}, "which are no kind of edit"),
    ],
)
def test_an_edit_without_its_place_names_the_mutant(
    edit: dict[str, Any], says: str, folder: Path
) -> None:
    with pytest.raises(MutantError) as refused:
        write(folder, {"file": "service.py", **edit})
    assert str(refused.value).startswith("1.1-slip: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a = 1\nif a:\n    a = 2\n", "service.py has 2 definitions of a"),
        ("a = b = 1\n", "assigns a together with another name"),
    ],
)
def test_a_symbol_that_is_not_defined_once_and_alone_is_refused(
    source: str, says: str, folder: Path
) -> None:
    (folder / "service.py").write_text(source)
    with pytest.raises(MutantError, match=says):
        write(folder, {"file": "service.py", "symbol": "a", "new": "a = 3"})


def test_new_text_is_not_split_by_what_stands_next_to_it(folder: Path) -> None:
    (folder / "service.py").write_text("a = b * LIMIT\n")
    edit = {"file": "service.py", "statement": "LIMIT"}
    with pytest.raises(MutantError, match="does not hold `1 \\+ 2` after the edit"):
        write(folder, {**edit, "new": "1 + 2"})
    write(folder, {**edit, "new": "(1 + 2)"})


def test_a_mistake_may_be_one_of_syntax(folder: Path) -> None:
    broken = {"file": "service.py", "symbol": "LIMIT", "new": "LIMIT = (10"}
    write(folder, broken, valid_python=False)
    assert "LIMIT = (10\n" in (folder / "service.py").read_text()
