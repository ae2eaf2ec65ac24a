"""Run a scheduled job on two states of the data, and compare the figures of its reports."""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from checker.monitoring.alerts import MONITORED, monitored_features
from checker.monitoring.figures import Figures, figures_in, moved, text_of, unmoved
from checker.monitoring.schedule import EXERCISE, Job
from checker.monitoring.windows import Drift, larger, place_windows
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError
from lab.settings import utc_now

MOST_FILES = 100
SERVING = ("latency", "availability", "error rate", "cache hit")
STOPPED = timedelta(days=10)  # longer than a current window


def run_for_a_report(
    submission: Submission, jobs: Iterable[Job]
) -> tuple[Job | None, list[str], list[str]]:
    """Return the first job that writes a right report, the problems of those before it, notes."""
    problems: list[str] = []
    names = monitored_features(submission)
    for job in jobs:
        texts: list[str] = []
        try:
            problem = _problem(submission, job, names, texts)
        except SubmissionError as error:
            problem = error.message
        if not problem:
            clock = _note_on_the_clock(submission, job, names, texts)
            return job, problems, [_note_on_serving(texts), clock]
        problems.append(problem)
    return None, problems, []


def _problem(submission: Submission, job: Job, names: dict[str, str], texts: list[str]) -> str:
    """Return the fault of a job's reports; the second run is on data with drift in some."""
    drift, now = _drift(submission), utc_now()
    before = _report(submission, job, {}, names, texts, now)
    if missing := [names[name] for name in MONITORED if not before.get(names[name])]:
        return f"`{job.command}` wrote no report with figures of {', '.join(missing)}"
    after = _report(submission, job, drift, names, texts, now)
    if same := unmoved(before, after, [names[name] for name in drift]):
        return f"two reports of `{job.command}` have the same figures of {', '.join(same)}, though \
its values tripled between them"
    calm = [names[name] for name in MONITORED if name not in drift]
    if changed := moved(before, after, calm):
        return f"two reports of `{job.command}` have other figures of {', '.join(changed)}, though \
its values stayed the same"
    return ""


def _drift(submission: Submission) -> dict[str, Drift]:
    """Return the features that drift before the second run."""
    random = np.random.default_rng([submission.hidden.seed, 65])
    drifted = random.permutation(MONITORED)[: len(MONITORED) // 2]
    return {str(name): larger for name in drifted}


def _report(
    submission: Submission,
    job: Job,
    drift: dict[str, Drift],
    names: dict[str, str],
    texts: list[str],
    newest: datetime,
) -> Figures:
    """Run the job once on rows up to `newest`; return the figures in the files that it wrote."""
    place_windows(submission, newest, drift)
    before = _outputs(submission)
    job.run(submission)
    written = [file for file, when in _outputs(submission).items() if before.get(file) != when]
    texts[:] = [text_of(file, submission.root) for file in written[:MOST_FILES]]
    return figures_in(texts, names.values())


def _outputs(submission: Submission) -> dict[Path, int]:
    """Return the files below data/, without the registry, and when each was written."""
    folders = (submission.repo / "data", submission.exercise(EXERCISE) / "data")
    walks = (walk for folder in folders for walk in os.walk(folder))
    found: dict[Path, int] = {}
    for file in (Path(directory, name) for directory, _, names in walks for name in names):
        with suppress(FileNotFoundError):  # one of theirs may remove it just now
            if file.is_file():
                found[file.resolve()] = file.stat().st_mtime_ns
    found.pop(submission.registry_path.resolve(), None)
    return found


def _note_on_the_clock(
    submission: Submission, job: Job, names: dict[str, str], texts: list[str]
) -> str:
    """Return what the job takes for the present: the clock, or the time of the newest row."""
    drift, current = _drift(submission), figures_in(texts, names.values())
    drifted = [names[name] for name in drift]
    present = "the clock"
    try:
        stopped = _report(submission, job, drift, names, [], utc_now() - STOPPED)
        if unmoved(current, stopped, drifted) == drifted:
            present = "the newest row's, so a stopped pipeline looks healthy"
    except SubmissionError as error:
        present = f"unknown; without rows of ten days, {error.message}"
    return f"the present of the report (not scored): {present}"


def _note_on_serving(texts: Iterable[str]) -> str:
    """Return which serving metrics the report names; the brief's criteria do not require them."""
    text = "\n".join(texts).lower().replace("_", " ")
    named = ", ".join(metric for metric in SERVING if metric in text)
    return f"serving metrics that the report names (not scored): {named or 'none'}"
