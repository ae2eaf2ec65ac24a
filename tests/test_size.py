"""The parts of the project stay within size.toml, and scripts/size.py counts them."""

import re
import subprocess
import sys
from pathlib import Path

from lab.settings import settings

SCRIPT = settings.root / "scripts" / "size.py"
CONFIG = """
suffixes = [".py", ".sql"]
[[part]]
name = "checks"
files = ["exercise_*/checks.py"]
limit = 2
[[part]]
name = "solution"
files = ["exercise_*/**/*"]
limit = 4
"""


def size(root: Path) -> tuple[int, dict[str, list[int]], str]:
    """Run the script; return its status, lines and limit by part, and all that it printed."""
    run = subprocess.run(
        [sys.executable, SCRIPT, root], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    rows = re.findall(r"^(.+?) +([\d,]+) +([\d,]+)", run.stdout, re.MULTILINE)
    table = {name: [int(number.replace(",", "")) for number in row] for name, *row in rows}
    return run.returncode, table, run.stdout


def small_project(root: Path) -> Path:
    """Two parts: three lines of checks, and a solution of four lines in two files."""
    (root / "exercise_1" / "sql").mkdir(parents=True)
    (root / "exercise_1" / "checks.py").write_text("one\n\nthree")
    (root / "exercise_1" / "main.py").write_text("one\ntwo\nthree\n")
    (root / "exercise_1" / "sql" / "a.sql").write_text("SELECT 1\n")
    (root / "exercise_1" / "README.md").write_text("not counted\n" * 100)
    (root / "size.toml").write_text(CONFIG)
    return root


def test_no_part_of_the_project_is_over_its_limit() -> None:
    status, table, printed = size(settings.root)
    assert status == 0, printed
    assert all(lines > 0 for lines, _ in table.values()), printed


def test_a_file_counts_in_the_first_part_that_matches_and_a_part_over_its_limit_is_named(
    tmp_path: Path,
) -> None:
    status, table, printed = size(small_project(tmp_path))
    assert status == 1
    assert table == {"checks": [3, 2], "solution": [4, 4], "total": [7, 6]}
    assert "over the limit: checks\n  next: " in printed
