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


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"file": "no.py", "symbol": "a", "new": ""}, "there is no no.py"),
        ({"symbol": "total", "new": ""}, "service.py has no definition of total"),
        ({"symbol": "LIMIT", "new": "LIMIT = (10)  # ten"}, "changes nothing in service.py"),
        ({"symbol": "LIMIT", "new": "LIMIT ="}, "service.py is no longer Python"),
        ({"statement": "tax = 1", "new": ""}, "service.py has no match of `tax = 1`"),
        ({"statement": "LIMIT", "new": "1"}, "service.py has 2 matches of `LIMIT`"),
        ({"statement": "LIMIT", "symbol": "Basket.size", "new": "1"}, "in Basket.size no match"),
        ({"statement": "tax = = 1", "new": ""}, "an edit of service.py is not Python"),
        ({"file": "store.yaml", "key": "offline_store"}, "store.yaml has no key offline_store"),
        ({"file": "store.yaml", "key": "project", "value": "a", "new_key": True}, "has a key"),
        ({"file": "store.yaml", "key": "project", "value": "shop"}, "nothing in store.yaml"),
        ({"create": "a = 1"}, "service.py exists already"),
        ({"rewrite": "a = 1"}, "service.py is edited by symbol"),
        ({"old": "a", "new": "b"}, "the keys file, old, new, which are no kind of edit"),
    ],
)
def test_an_edit_without_its_place_names_the_mutant(
    edit: dict[str, Any], message: str, folder: Path
) -> None:
    with pytest.raises(MutantError) as refused:
        write(folder, {"file": "service.py", **edit})
    assert str(refused.value).startswith("1.1-slip: ")
    assert message in str(refused.value)
