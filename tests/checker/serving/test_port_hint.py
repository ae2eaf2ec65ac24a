"""The port that code has is named where it is the usual one of Redis alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checker.serving.server import port_hint


@pytest.mark.parametrize(
    ("code", "is_named"),
    [
        ('cache = redis.Redis(host="localhost", port=6379, db=1)', True),
        ('cache = redis.Redis(port=int(os.environ.get("LAB_REDIS_PORT", "6379")))', False),
        ("cache = {}", False),
    ],
)
def test_the_usual_port_is_named(code: str, is_named: bool, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(code)
    submission: Any = SimpleNamespace(exercise=lambda _: tmp_path)
    assert port_hint(submission).startswith("main.py names port 6379") is is_named
