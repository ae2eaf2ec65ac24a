"""The checker's mutation score, as `make mutation-score` stored it; nothing is graded here."""

import json
from collections.abc import Iterator

from benchmarks.harness.figures import Figure
from lab.settings import ROOT

SCORES = ROOT / "tests" / "checker" / "mutation" / "scores.json"


def measure() -> Iterator[Figure]:
    """Yield the share of the sample that was graded, and the lowest score of an exercise."""
    scores = json.loads(SCORES.read_text()).values()
    graded, sample = (sum(score[name] for score in scores) for name in ("graded", "sample"))
    yield Figure("mutation_graded", graded / sample, "of the sample")
    counted = [s["killed"] / (s["graded"] - s["equivalent"]) for s in scores if s["graded"]]
    yield Figure("mutation_score_min", min(counted), "of the mutants")
