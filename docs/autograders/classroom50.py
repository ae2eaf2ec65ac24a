#!/usr/bin/env python3
"""Grade the checkout in the working directory for Classroom 50.

Copy it to CLASSROOM/autograders/ASSIGNMENT/autograder.py, and let the assignment's `runtime` name
the image of the Containerfile: {"container": {"image": "…", "user": "root"}}.
"""

import os
import subprocess
import sys
from pathlib import Path

LAB = os.environ.get("LAB", "/lab/.venv/bin/lab")
EXERCISE = os.environ.get("EXERCISE", "")  # one exercise; empty for all
SOME_FAILED = 1  # a grade, where Classroom 50 takes each status but 0 as an infrastructure error
OUT = Path("/tmp/graded")

chosen = ["--exercise", EXERCISE] if EXERCISE else []
graded = subprocess.run([LAB, "grade", Path.cwd(), "--out", OUT, *chosen])
if graded.returncode not in (0, SOME_FAILED):
    sys.exit(graded.returncode)
(scorecard,) = OUT.glob("scorecards/*/scorecard.json")
form = ["--format", "classroom50", "--out", "result.json"]
sys.exit(subprocess.run([LAB, "render", scorecard, *form]).returncode)
