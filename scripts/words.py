#!/usr/bin/env python3
"""Report words to replace and docstrings to rephrase, by word and by folder; never fails.

scripts/words.py [ROOT]

It reads Python, Markdown, SQL and TOML outside tests/submissions. An identifier counts by the
words between its underscores. Some hits are right as they are; the report is a list to look at.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = {".py", ".md", ".sql", ".toml"}
SKIPPED = {"build", "class", "graded"}
OPENINGS = ("What", "Whether", "Who", "Where", "How", "Those", "That", "It is")
REPLACEMENTS = {
    "tell|tells|told": "log, report, return, notify",
    "say|says|said": "report, print, state; message, output",
    "ask|asks|asked": "query, request, call",
    "hear|hears|heard": "receive, be notified",
    "judge|judges|judged": "grade, parse, evaluate",
    "kept": "stored, cached",
    "held": "stored, locked",
    "beside": "next to; temp_path, background_tasks",
    "away": "unavailable",
    "due": "pending",
    "set aside": "excluded",
    "hold against": "compare with",
    "anew": "again, new",
    "dear": "expensive",
    "a while": "the interval in seconds",
    "come again": "retry",
    "without a word": "silently",
    "whoever": "a user, a client",
    "as known": "point in time",
    "arm|arms": "training variant",
    "warm-up": "burn-in, lookback period",
    "live views": "streaming views",
    "slow views": "batch views",
    "guards": "middleware",
    "patience": "timeout",
    "newcomer|newcomers": "unseen category",
    "ledger": "outbox, alert state",
    "announce|announced|announces": "notify",
    "findings": "alert rules",
    "recount|recounts|recounted": "recompute, reconcile",
    "drill|drills": "fault-injection test",
    "thief|thieves": "fraudster",
}


PATTERNS = {
    forms: re.compile(rf"(?<![A-Za-z])(?:{forms})(?![A-Za-z])".replace(" ", r"\s+"), re.IGNORECASE)
    for forms in REPLACEMENTS
}


def files(root: Path) -> Iterator[Path]:
    """Yield the files to read; hidden folders and build outputs are skipped."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        is_skipped = parts[0] in SKIPPED or parts[:2] == ("tests", "submissions")
        if path.suffix in SUFFIXES and not is_skipped and not any(p[0] == "." for p in parts):
            yield path


def words_in(text: str) -> Counter[str]:
    """Count the words to replace, by their forms."""
    return Counter({forms: len(pattern.findall(text)) for forms, pattern in PATTERNS.items()})


def docstrings_in(source: str) -> int:
    """Count the docstrings of a module that begin with one of the openings."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return sum(re.match(rf"(?:{'|'.join(OPENINGS)})\b", text) is not None for text in texts)


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    by_word, by_folder, docstrings = Counter[str](), Counter[str](), Counter[str]()
    for path in files(root):
        text = path.read_text(encoding="utf-8")
        folder = path.relative_to(root).parts[0] if path.parent != root else "."
        found = words_in(text)
        by_word += found
        by_folder[folder] += found.total()
        docstrings[folder] += docstrings_in(text) if path.suffix == ".py" else 0
    for forms, count in by_word.most_common():
        print(f"{forms.split('|')[0]:<20}{count:>6}  {REPLACEMENTS[forms]}")
    print(f"\n{'folder':<26}{'words':>6}{'docstrings':>12}")
    by_folder["total"], docstrings["total"] = by_folder.total(), docstrings.total()
    for folder, count in by_folder.items():
        print(f"{folder:<26}{count:>6}{docstrings[folder]:>12}")


if __name__ == "__main__":
    main()
