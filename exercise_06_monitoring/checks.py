"""The five criteria of exercise 6: drift and faults that were planted, and what is said of them."""

import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from checker.api import (
    CounterExample,
    Outcome,
    Pair,
    Receivers,
    Submission,
    SubmissionError,
    criterion,
    features_of,
    findings,
    larger,
    mistakes,
    pairs,
    place_windows,
    planted,
    planted_table,
    receivers,
    run_for_a_report,
    scheduled_jobs,
    script_that_defines,
    with_nulls,
)
from lab.settings import utc_now

SCRIPT = "feature_monitoring.py"
KS, PSI, QUALITY = "detect_drift_ks_test", "calculate_psi", "check_data_quality"
REPORT = "generate_drift_report"
REPORT_COLUMNS = ("feature", "has_drift", "psi", "severity")
NO_DRIFT, DRIFT = 0.1, 0.25  # the brief's bands of PSI
SIGNIFICANT = 0.05
ALERTED = (
    "transaction_count_7d",
    "transaction_count_30d",
    "avg_transaction_amount",
    "chargeback_rate",
)


def ask(submission: Submission, function: str, *arguments: Any) -> Any:
    return submission.call(6, SCRIPT, function, *arguments)


def as_number(value: object) -> float:
    """A number; whatever else is not one."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


@criterion("6.1")
def drift_is_identified(submission: Submission) -> Outcome:
    """KS test and PSI find the drift of 20 pairs of samples, and none in 20 others."""
    asked = list(pairs(submission.hidden.seed))
    tests = [ask(submission, KS, pair.reference, pair.current) for pair in asked]
    indexes = [ask(submission, PSI, pair.reference, pair.current) for pair in asked]
    wrong_tests = [(p, t) for p, t in zip(asked, tests, strict=True) if not ks_is_right(p, t)]
    wrong_indexes = [(p, i) for p, i in zip(asked, indexes, strict=True) if not psi_is_right(p, i)]
    return Outcome(
        not wrong_tests and not wrong_indexes,
        f"right verdicts: KS {len(asked) - len(wrong_tests)}, PSI {len(asked) - len(wrong_indexes)}"
        f" of {len(asked)}",
        f"all of both: p below {SIGNIFICANT:g} and PSI above {DRIFT:g} where there is drift, "
        f"PSI below {NO_DRIFT:g} where there is none",
        hint="values outside the reference's range count too: docs/errata.md#psi-without-tails",
        examples=[*_wrong(KS, wrong_tests), *_wrong(PSI, wrong_indexes)],
        notes=[_on_nulls(submission, next(pair for pair in asked if pair.drifted))],
        figures={
            f"KS, wrong of {len(asked)}": len(wrong_tests),
            f"PSI, wrong of {len(asked)}": len(wrong_indexes),
        },
    )


def ks_is_right(pair: Pair, said: Any) -> bool:
    """Whether (has_drift, statistic, p_value) agree with the pair and with each other."""
    if not isinstance(said, list) or len(said) != 3 or said[0] not in (True, False):
        return False
    statistic, p_value = as_number(said[1]), as_number(said[2])
    is_plausible = 0 <= statistic <= 1 and 0 <= p_value <= 1
    return (
        is_plausible and bool(said[0]) is pair.drifted and (p_value < SIGNIFICANT) is pair.drifted
    )


def psi_is_right(pair: Pair, said: Any) -> bool:
    psi = as_number(said)
    return psi > DRIFT if pair.drifted else psi < NO_DRIFT


def _wrong(function: str, cases: Sequence[tuple[Pair, Any]]) -> list[CounterExample]:
    return [
        CounterExample(f"{function}: {pair.name}", "drift" if pair.drifted else "none", str(said))
        for pair, said in cases[:2]
    ]


def _on_nulls(submission: Submission, pair: Pair) -> str:
    """What is said when some values are missing; the brief does not ask for it."""
    gaps = with_nulls(pair)
    try:
        said = [ask(submission, function, gaps.reference, gaps.current) for function in (KS, PSI)]
    except SubmissionError as error:
        return f"a pair that drifted, with nulls: {error.message}"
    return f"a pair that drifted, with nulls: KS {said[0]}, PSI {said[1]}"


@criterion("6.2")
def faults_are_detected(submission: Submission) -> Outcome:
    """Planted nulls and outliers are told with their rates; clean and constant columns pass."""
    planted = planted_table(submission.hidden.seed)
    own = submission.names.frame(planted.rows)
    ours = dict(zip(own, planted.rows, strict=True))
    found = findings(ask(submission, QUALITY, own), ours)
    wrong = list(mistakes(planted, found))
    asked = 2 * len(ours) - 1
    return Outcome(
        not wrong,
        f"{asked - len(wrong)} of {asked} right, by {len(found)} findings",
        "for each column the share of nulls and of outliers, failed where they were planted",
        "" if found else "it returned no findings; what is printed does not count",
        "give records of column, check, value, passed; or {column: {null_rate, outlier_rate}}: "
        "docs/errata.md#quality-that-prints",
        examples=[CounterExample(case, f"{share:.3f}", told) for case, share, told in wrong],
    )


@criterion("6.3")
def alerts_are_sent(submission: Submission) -> Outcome:
    """A run on drifted data names the feature in an alert, though the receiver fails once.

    A run on healthy data names none.
    """
    names = features_of(submission)
    planted = str(np.random.default_rng([submission.hidden.seed, 63]).choice(ALERTED))
    place_windows(submission, utc_now(), {})
    healthy, _ = monitoring_run(submission)
    place_windows(submission, utc_now(), {planted: larger})
    drifted, said = monitoring_run(submission, refusals=1)
    told = [text for text in drifted.delivered if mentions(text, names[planted])]
    false_alarms = [t for t in healthy.arrived if any(mentions(t, n) for n in names.values())]
    return Outcome(
        bool(told) and not false_alarms,
        f"drift in {names[planted]}: {len(told)} of {len(drifted.delivered)} alerts that arrived "
        f"name it, {len(drifted.refused)} refused; healthy data: {len(false_alarms)} alerts",
        "at least 1; none",
        said,
        "post to SLACK_WEBHOOK_URL or mail to ALERT_EMAIL_TO; try again after a 500: "
        "docs/errata.md#an-alert-without-a-receiver",
        examples=[CounterExample("healthy data", "no alert", t[:200]) for t in false_alarms],
    )


def monitoring_run(submission: Submission, refusals: int = 0) -> tuple[Receivers, str]:
    """What arrives during a run of their monitoring, and how it failed, if it did."""
    script = script_that_defines(submission.exercise(6), SCRIPT, REPORT)
    command = submission.names.monitor or f"python {shlex.quote(str(script))}"
    with receivers(refusals) as received:
        try:
            submission.run(command, 6, cwd=submission.repo, env=received.environment)
        except SubmissionError as error:  # an exit status says nothing of what arrived
            return received, error.message
    return received, ""


def mentions(text: str, feature: str) -> bool:
    """Whether a text has the name of a feature, with or without that of its view."""
    return re.search(rf"(\b|__){re.escape(feature)}\b", text) is not None


@criterion("6.4")
def reports_are_generated(submission: Submission) -> Outcome:
    """generate_drift_report tells which of all features have drifted, and tells the same again."""
    names = features_of(submission)
    drift, passing = planted(names, submission.hidden.seed)
    place_windows(submission, utc_now(), drift, passing)
    drifted = set(drift) - passing
    reports = [report(submission, list(names.values())) for _ in range(2)]
    rows = {feature: [told.get(own, {}) for told in reports] for feature, own in names.items()}
    calm = [row.get("severity") for f in names if f not in drifted for row in rows[f]]
    wrong = [f for f in names if not all(row_is_right(row, f in drifted, calm) for row in rows[f])]
    return Outcome(
        not wrong,
        f"{len(names) - len(wrong)} of {len(names)} features right in both of two reports",
        f"all: has_drift and a psi above {DRIFT:g} in the {len(drifted)} that have drifted, not in "
        f"the {len(passing)} that had between the windows; a severity that tells them apart",
        hint="compare days -60 to -30 with the last 7, by the values that the feature store has: "
        "docs/errata.md#a-random-report",
        examples=[
            CounterExample(names[f], "drift" if f in drifted else "no drift", str(rows[f]))
            for f in wrong
        ],
    )


def report(submission: Submission, features: list[str]) -> dict[str, dict[str, Any]]:
    """Their report: by the feature's name, without that of its view, the other columns."""
    said = ask(submission, REPORT, features)
    is_records = isinstance(said, list) and all(isinstance(row, dict) for row in said)
    table = pd.DataFrame(said) if is_records else said
    if not isinstance(table, pd.DataFrame):
        raise SubmissionError(f"{REPORT} returned {said!r:.60}, not a DataFrame")
    missing = [name for name in REPORT_COLUMNS if name not in table]
    if missing:
        raise SubmissionError(f"{REPORT} returned no column {', '.join(missing)}")
    rows = table[list(REPORT_COLUMNS)].astype(object).to_dict("records")
    return {re.split(r":|__", str(row.pop("feature")))[-1]: row for row in rows}


def row_is_right(row: dict[str, Any], drifted: bool, calm: list[Any]) -> bool:
    """`calm` are the severities of what has not drifted, which a drift must not have."""
    is_told = row.get("has_drift") in (True, False) and bool(row["has_drift"]) is drifted
    psi = as_number(row.get("psi"))
    severity = row.get("severity")
    is_graded = isinstance(severity, str) and severity != "" and (severity in calm) is not drifted
    return is_told and is_graded and math.isfinite(psi) and (psi > DRIFT) is drifted


@criterion("6.5")
def monitoring_is_scheduled(submission: Submission) -> Outcome:
    """A DAG or a line of a crontab has a valid schedule, and run once from / writes a report."""
    jobs = scheduled_jobs(submission)
    valid = [job for job in jobs if not job.problem]
    ran, said = run_for_a_report(submission, valid, features_of(submission).values())
    problems = [f"{job.when}: {job.problem}" for job in jobs if job.problem]
    return Outcome(
        ran is not None,
        f"{len(valid)} of {len(jobs)} schedules valid ({', '.join(job.when for job in valid)}); "
        f"{ran.command if ran else 'none'} wrote a report",
        "one that, run from /, writes a file below data/ that names a monitored feature",
        "; ".join([*problems, *said])
        or ("" if jobs else "there is no DAG in airflow_dags/, and no crontab"),
        "paths must not depend on the working directory",
    )
