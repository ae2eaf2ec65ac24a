"""The five criteria of exercise 6: planted drift and faults, and the alerts and reports of them."""

import math
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from checker.api import (
    MONITORED,
    CounterExample,
    Outcome,
    Pair,
    Receivers,
    Row,
    Submission,
    SubmissionError,
    alarms,
    criterion,
    damaged_schemas,
    features_of,
    larger,
    mistakes,
    monitored_features,
    pairs,
    place_windows,
    planted,
    planted_table,
    quality_results,
    receivers,
    reports_schema,
    run_for_a_report,
    scheduled_jobs,
    script_that_defines,
    smaller,
    with_nulls,
    wrong_severities,
)
from lab.settings import utc_now

SCRIPT = "feature_monitoring.py"
KS, PSI, QUALITY = "detect_drift_ks_test", "calculate_psi", "check_data_quality"
REPORT = "generate_drift_report"
REPORT_COLUMNS = ("feature", "has_drift", "psi", "severity")
# The brief's bands of PSI, and whether has_drift is true there; in the middle it may be either
BANDS = {"none": (-math.inf, 0.1), "moderate": (0.1, 0.25), "drift": (0.25, math.inf)}
HAS_DRIFT = {"none": (False,), "moderate": (False, True), "drift": (True,)}


def call(submission: Submission, function: str, *arguments: Any) -> Any:
    return submission.call(6, SCRIPT, function, *arguments)


def as_number(value: object) -> float:
    """A number; whatever else is not one."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


@criterion("6.1")
def drift_is_identified(submission: Submission) -> Outcome:
    """KS test and PSI find the drift of pairs of samples, and none in others."""
    samples = list(pairs(submission.hidden.seed))
    tests = [call(submission, KS, p.reference, p.current, p.threshold) for p in samples]
    indexes = [call(submission, PSI, pair.reference, pair.current) for pair in samples]
    wrong_tests = [(p, t) for p, t in zip(samples, tests, strict=True) if not ks_is_right(p, t)]
    wrong_indexes = [
        (p, i) for p, i in zip(samples, indexes, strict=True) if not p.is_right_psi(as_number(i))
    ]
    return Outcome(
        not wrong_tests and not wrong_indexes,
        f"right verdicts: KS {len(samples) - len(wrong_tests)}, "
        f"PSI {len(samples) - len(wrong_indexes)} of {len(samples)}",
        "all of both: p below the threshold and PSI above 0.25 where there is drift, PSI below 0.1 "
        "where there is none; the known PSI and KS statistic",
        hint="values outside the reference's range count too: docs/errata.md#psi-without-tails",
        examples=[*_wrong(KS, wrong_tests), *_wrong(PSI, wrong_indexes)],
        notes=[_on_nulls(submission, next(pair for pair in samples if pair.drifted))],
        figures={
            f"KS, wrong of {len(samples)}": len(wrong_tests),
            f"PSI, wrong of {len(samples)}": len(wrong_indexes),
        },
    )


def ks_is_right(pair: Pair, found: Any) -> bool:
    """Return whether (has_drift, statistic, p_value) agree with the pair and with each other."""
    if not isinstance(found, list) or len(found) != 3 or found[0] not in (True, False):
        return False
    return pair.is_right_ks(bool(found[0]), as_number(found[1]), as_number(found[2]))


def _wrong(function: str, cases: Sequence[tuple[Pair, Any]]) -> list[CounterExample]:
    return [
        CounterExample(f"{function}: {pair.name}", pair.expected(function == PSI), str(found))
        for pair, found in cases[:2]
    ]


def _on_nulls(submission: Submission, pair: Pair) -> str:
    """Describe the results when some values are missing; the brief does not require any."""
    gaps = with_nulls(pair)
    try:
        found = [call(submission, function, gaps.reference, gaps.current) for function in (KS, PSI)]
    except SubmissionError as error:
        return f"a pair that drifted, with nulls: {error.message}"
    return f"a pair that drifted, with nulls: KS {found[0]}, PSI {found[1]}"


@criterion("6.2")
def faults_are_detected(submission: Submission) -> Outcome:
    """Planted nulls and outliers are reported with their rates; clean and constant columns pass."""
    planted = planted_table(submission.hidden.seed)
    own = submission.names.frame(planted.rows)
    ours = dict(zip(own, planted.rows, strict=True))
    found = quality_results(call(submission, QUALITY, own), ours)
    wrong = list(mistakes(planted, found))
    reported = [
        f"{damage}: {'' if _reports_schema(submission, table, ours) else 'not '}reported"
        for damage, table in damaged_schemas(own).items()
    ]
    wanted = 2 * len(ours) - 1
    return Outcome(
        not wrong,
        f"{wanted - len(wrong)} of {wanted} right, by {len(found)} results",
        "for each column the share of nulls and of outliers, failed where they were planted",
        "" if found else "it returned no results; what is printed does not count",
        "give records of column, check, value, passed; or {column: {null_rate, outlier_rate}}: "
        "docs/errata.md#quality-that-prints",
        examples=[CounterExample(case, f"{share:.3f}", got) for case, share, got in wrong],
        notes=[f"schema, by {QUALITY} alone (not scored): {'; '.join(reported)}"],
    )


def _reports_schema(submission: Submission, table: pd.DataFrame, ours: dict[str, str]) -> bool:
    """Return True if a damaged table fails a check of its own, or is refused."""
    try:
        return reports_schema(quality_results(call(submission, QUALITY, table), ours))
    except SubmissionError:
        return True


@criterion("6.3")
def alerts_are_sent(submission: Submission) -> Outcome:
    """A run on drifted data alerts for the drifted features only, though a post is refused.

    A run on healthy data does not alert.
    """
    names = monitored_features(submission)
    random = np.random.default_rng([submission.hidden.seed, 63])
    drift = dict(zip(map(str, random.permutation(MONITORED)), (larger, smaller), strict=False))

    def is_right(text: str) -> bool:
        return any(alarm.features <= set(drift) for alarm in alarms([text], names))

    place_windows(submission, utc_now(), {})
    healthy, _ = monitoring_run(submission)
    place_windows(submission, utc_now(), drift)
    drifted, failure = monitoring_run(submission, refuse=is_right)
    found = alarms(drifted.arrived, names)
    named = set().union(*(alarm.features for alarm in found if is_right(alarm.text)))
    wrong = [*alarms(healthy.arrived, names), *(a for a in found if not is_right(a.text))]
    rejected = [*healthy.rejected, *drifted.rejected]
    return Outcome(
        len(named) == len(drift) and not wrong,
        f"drift in {', '.join(names[feature] for feature in drift)}: {len(named)} of {len(drift)} "
        f"named by an alert that arrived, {len(drifted.refused)} refused; "
        f"{len(wrong)} false alarms",
        "all, in alerts that name no other feature; none",
        f"Slack rejects {len(rejected)} posts: {rejected[0]}" if rejected else failure,
        "post {'text': …} to SLACK_WEBHOOK_URL or mail to ALERT_EMAIL_TO; retry after a 500: "
        "docs/errata.md#an-alert-without-a-receiver",
        examples=[
            CounterExample(", ".join(sorted(a.features)), "no alert", a.text[:200]) for a in wrong
        ],
    )


def monitoring_run(
    submission: Submission, refuse: Callable[[str], bool] = lambda _: False
) -> tuple[Receivers, str]:
    """Return what arrives during a run of their monitoring, and how it failed, if it did."""
    script = script_that_defines(submission.exercise(6), SCRIPT, REPORT)
    command = submission.names.monitor or f"python {shlex.quote(str(script))}"
    with receivers(refuse) as received:
        try:
            submission.run(command, 6, cwd=submission.repo, env=received.environment)
        except SubmissionError as error:  # the exit status does not depend on what arrived
            return received, error.message
    return received, ""


@criterion("6.4")
def reports_are_generated(submission: Submission) -> Outcome:
    """generate_drift_report names the features that have drifted, the same ones on each call."""
    names = features_of(submission)
    plan = planted(names, submission.hidden.seed)
    place_windows(submission, utc_now(), plan.drift, plan.passing)
    reports = [report(submission, list(names.values())) for _ in range(2)]
    wrong, rows = {}, {}
    for feature, own in names.items():
        drift, rows[feature] = plan.of(feature), [found.get(own, {}) for found in reports]
        if not all(row_is_right(row, drift) for row in rows[feature]):
            wrong[feature] = {"none": "no drift"}.get(drift, drift)
    graded = [
        Row(f, plan.of(f), row["severity"]) for f in names if f not in wrong for row in rows[f]
    ]
    wrong |= wrong_severities(graded)
    return Outcome(
        not wrong,
        f"{len(names) - len(wrong)} of {len(names)} features right in both of two reports",
        "all: has_drift and a psi above 0.25 in those that have drifted, not in the "
        f"{len(plan.passing)} that had between the windows; a psi from 0.1 to 0.25 in one; "
        "severities that rise with drift",
        hint="compare days -60 to -30 with the last 7, by the values that the feature store has: "
        "docs/errata.md#a-random-report",
        examples=[CounterExample(names[f], why, str(rows[f])) for f, why in wrong.items()],
    )


def report(submission: Submission, features: list[str]) -> dict[str, dict[str, Any]]:
    """Their report: by the feature's name, without that of its view, the other columns."""
    found = call(submission, REPORT, features)
    is_records = isinstance(found, list) and all(isinstance(row, dict) for row in found)
    table = pd.DataFrame(found) if is_records else found
    if not isinstance(table, pd.DataFrame):
        raise SubmissionError(f"{REPORT} returned {found!r:.60}, not a DataFrame")
    missing = [name for name in REPORT_COLUMNS if name not in table]
    if missing:
        raise SubmissionError(f"{REPORT} returned no column {', '.join(missing)}")
    rows = table[list(REPORT_COLUMNS)].astype(object).to_dict("records")
    return {re.split(r":|__", str(row.pop("feature")))[-1]: row for row in rows}


def row_is_right(row: dict[str, Any], drift: str) -> bool:
    """Return whether has_drift and psi fit the planted drift, and the severity is a text."""
    low, high = BANDS[drift]
    has_drift, severity = row.get("has_drift"), row.get("severity")
    is_graded = isinstance(severity, str) and severity != ""
    return has_drift in HAS_DRIFT[drift] and low < as_number(row.get("psi")) < high and is_graded


@criterion("6.5")
def monitoring_is_scheduled(submission: Submission) -> Outcome:
    """A DAG or a crontab runs every day, and its reports from / follow the data."""
    jobs = scheduled_jobs(submission)
    valid = [job for job in jobs if not job.problem]
    ran, failures, notes = run_for_a_report(submission, valid)
    problems = [f"{job.when}: {job.problem}" for job in jobs if job.problem]
    return Outcome(
        ran is not None,
        f"{len(valid)} of {len(jobs)} schedules valid ({', '.join(job.when for job in valid)}); "
        f"{ran.command if ran else 'none'} wrote right reports",
        "one that, run from / on two states of the data, writes a file below data/ with figures of "
        f"{', '.join(MONITORED)}, which change with the data",
        "; ".join([*problems, *failures])
        or ("" if jobs else "there is no DAG in airflow_dags/, and no crontab"),
        "paths must not depend on the working directory",
        notes=notes,
    )
