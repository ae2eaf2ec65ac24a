#!/usr/bin/env python3
"""Print the lines of each part with its limit in size.toml; exit 1 when one is over its limit.

scripts/size.py [ROOT]
"""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A part of the project: its lines, and the most that it may have."""

    name: str
    lines: int
    limit: int

    @property
    def is_over(self) -> bool:
        return self.lines > self.limit

    def __str__(self) -> str:
        excess = f"  over by {self.lines - self.limit:,}" if self.is_over else ""
        return f"{self.name:<28}{self.lines:>8,}{self.limit:>8,}{excess}"


def measure(root: Path) -> list[Part]:
    """Return the parts in the order of size.toml; the first matching part counts a file."""
    config = tomllib.loads((root / "size.toml").read_text())
    suffixes = set(config["suffixes"])
    counted: set[Path] = set()
    parts = []
    for part in config["part"]:
        files = set(find(root, part["files"], suffixes)) - counted
        counted |= files
        parts.append(Part(part["name"], sum(map(lines_of, files)), part["limit"]))
    return parts


def find(root: Path, patterns: list[str], suffixes: set[str]) -> Iterator[Path]:
    """Yield the files below `root` that match a pattern and have one of the suffixes."""
    for pattern in patterns:
        for path in root.glob(pattern):
            if path.suffix in suffixes and path.is_file():
                yield path


def lines_of(path: Path) -> int:
    """Return the number of lines, blank lines included."""
    return len(path.read_text(encoding="utf-8").splitlines())


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    parts = measure(root)
    total = Part("total", sum(part.lines for part in parts), sum(part.limit for part in parts))
    print(f"{'part':<28}{'lines':>8}{'limit':>8}")
    for part in [*parts, total]:
        print(part)
    over = [part.name for part in parts if part.is_over]
    if over:
        print(
            f"\nover the limit: {', '.join(over)}\n  next: shorten it, or see the top of size.toml"
        )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
