#!/usr/bin/env python3
"""List words to replace and docstrings to rephrase; exit status 1 where there is one.

scripts/words.py [ROOT]

It reads comments, docstrings, messages and Markdown outside tests/submissions, without names in
backticks and without QUOTED. Identifiers, which a table counts by folder, do not fail: a rename of
the checker's would outdate stored verdicts.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = {".py", ".md", ".sql", ".toml", ".yml", ".yaml", ".j2", ""}  # Makefile, scripts/setup
SKIPPED = (
    "build",
    "class",
    "graded",
    "tests/submissions",
    "scripts/words.py",
    "tests/test_words.py",
)
OPENING = re.compile(
    r'^ *"""(What|Whether|Who|Where|How|When|Which|Those|That|It is)\b', re.MULTILINE
)
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
    "floors": "solution, production",
    "recount|recounts|recounted": "recompute, reconcile",
    "drill|drills": "fault-injection test",
    "thief|thieves": "fraudster",
}

# Texts with a word to replace that stay, and the reason; at most 20.
QUOTED = {
    r"Cache hit rate over 70% after warm-up": "the brief's title of 4.3",
    r"make drills|drills: an": "a command, and the marker of its tests",
    r"asked\.parquet": "a file's name in an example",
    # Messages of checks: a change would outdate the verdicts of graded mutants.
    r"ask for the streaming features": "5.5",
    r"\bnot judged\b": "a criterion without time left",
}

PATTERNS = {
    forms: re.compile(
        rf"(?<![A-Za-z])(?:{forms})(?![A-Za-z0-9])".replace(" ", r"\s+"), re.IGNORECASE
    )
    for forms in REPLACEMENTS
}
ANY = re.compile("|".join(pattern.pattern for pattern in PATTERNS.values()), re.IGNORECASE)
NO_PROSE = re.compile("|".join([r"`[^`\n]*`", r"#[\w-]+\)", *QUOTED]))


def files(root: Path) -> Iterator[Path]:
    """Yield the files to read, in order; hidden folders and build outputs are not entered."""
    for path in sorted(root.iterdir()):
        name = path.as_posix()
        if path.name.startswith(".") or any(name.endswith(f"/{skipped}") for skipped in SKIPPED):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in SUFFIXES:
            yield path


def faults(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the word of each word to replace and docstring to rephrase."""
    for line, text in _texts(path):
        prose = NO_PROSE.sub(lambda match: re.sub(r"\S", "_", match[0]), text)
        for match in ANY.finditer(prose):
            yield line + text.count("\n", 0, match.start()), match[0]
    for match in OPENING.finditer(path.read_text() if path.suffix == ".py" else ""):
        line = match.string.count("\n", 0, match.start()) + 1
        yield line, f"a docstring that begins with {match[1]}"


def names_in(path: Path) -> int:
    """Count the words to replace in the identifiers of a module."""
    source = path.read_text() if path.suffix == ".py" else ""
    if not ANY.search(source):
        return 0  # most files, and quickly
    found = " ".join(token.string for token in _tokens(source) if token.type == tokenize.NAME)
    return len(ANY.findall(found))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file with their lines: of code, only comments and messages."""
    source = path.read_text()
    if not ANY.search(source):
        return
    if path.suffix == ".py":
        yield from _strings(ast.parse(source))
        yield from ((t.start[0], t.string) for t in _tokens(source) if t.type == tokenize.COMMENT)
    elif path.suffix in (".md", ".j2"):
        yield 1, source
    else:
        mark = "--" if path.suffix == ".sql" else "#"
        for number, line in enumerate(source.splitlines(), 1):
            yield number, line.partition(mark)[2]


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the strings of several words; `{}` stands for each value in an f-string."""
    for node in ast.iter_child_nodes(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if " " in text.strip() and hasattr(node, "lineno"):
            yield node.lineno, text
        yield from () if isinstance(node, ast.JoinedStr) else _strings(node)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(source).readline)


def replacement(word: str) -> str:
    """Return what to write in place of a word, or as the beginning of a docstring."""
    fitting = [new for old, new in REPLACEMENTS.items() if PATTERNS[old].fullmatch(word)]
    return fitting[0] if fitting else "an imperative or a noun phrase"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    status, by_folder = 0, Counter[str]()
    for path in files(root):
        name = path.relative_to(root)
        for line, word in faults(path):
            status = 1
            print(f"{name}:{line}: {word}; better: {replacement(word)}")
        by_folder[name.parts[0]] += names_in(path)
    print("identifiers:", ", ".join(f"{folder} {n}" for folder, n in by_folder.items() if n))
    return status


if __name__ == "__main__":
    sys.exit(main())
