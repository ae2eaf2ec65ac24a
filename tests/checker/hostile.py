"""Hostile submissions, each a right one with a few lines that attack; tests/submissions/hostile.

`code` stands at the beginning of exercise 1's definitions, or at the end of exercise 2's script, or
in the place of `old` in `file`. In it CANARY is a file outside, ROOT this project, and MARKER a
word that its processes contain; `send_line` sends one in place of the server's answer, `out`
is the path of the expected table. `found` collects what the attack finds; it must stay empty.
"""

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lab.settings import ROOT

SUBMISSIONS = ROOT / "tests" / "submissions"
PLAIN, HOSTILE = SUBMISSIONS / "right" / "plain", SUBMISSIONS / "hostile"
FOLDERS = ("exercise_01_setup", "exercise_02_training")
DEFINITIONS = "exercise_01_setup/features.py"
TRAINING = "exercise_02_training/generate_training_data.py"
MARKER = "left-by-a-hostile-submission"
DEEP = "-" * 200_000 + "1"

PRELUDE = """
import sys, time

def in_frames(name):
    frame = sys._getframe()
    while name not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name]

def send_line(line, end=b"\\n"):
    in_frames("connection").sendall(line + end)
    time.sleep(600 if end else 0)

def out():
    return in_frames("request")["out"]

found = []
"""
FOUND = "\nraise ValueError(f'found {found}')\n"


@dataclass(frozen=True)
class Attack:
    """The first criterion that fails, and its expected message or log; any of several texts."""

    name: str
    code: str
    expected: str
    exercise: int = 1
    file: str = ""
    old: str = ""
    fails: str = ""
    needs: str = "files"

    def __str__(self) -> str:
        return self.name

    @property
    def first_failure(self) -> str:
        return self.fails or f"{self.exercise}.1"

    def is_expected(self, text: str) -> bool:
        """Return True if a text contains one of the expected texts; `|` separates them."""
        return any(word in text for word in self.expected.split("|"))

    def write(self, folder: Path, canary: Path) -> None:
        """Write a right solution with the attack in it."""
        for name in FOLDERS:
            shutil.copytree(PLAIN / name, folder / name)
        shutil.copy(PLAIN / "submission.toml", folder)
        file = folder / (self.file or (DEFINITIONS if self.exercise == 1 else TRAINING))
        file.write_text(self._spoiled(file.read_text(), canary))

    def _spoiled(self, text: str, canary: Path) -> str:
        code = self.code + (FOUND if self.expected.startswith("found") else "")
        places = {"CANARY": str(canary), "ROOT": str(ROOT), "MARKER": MARKER, "DEEP": DEEP}
        code = re.sub("|".join(places), lambda word: places[word[0]], code)
        if self.old:
            assert self.old in text
            return text.replace(self.old, code)
        if self.exercise == 1:
            return f"{PRELUDE}\n{code}\n{text}"
        return f"{PRELUDE}\n{text}\n{code}"


def attacks(file: str) -> list[Attack]:
    """Return the attacks of one file, in its order."""
    content = tomllib.loads((HOSTILE / f"{file}.toml").read_text())
    return [Attack(**attack) for attack in content["attack"]]
