"""The six criteria of exercise 2: training data as they were known, and nothing that was not."""

import time
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from checker.api import (
    EVENT_TIME,
    KNOWN_VIEWS,
    SPLITS,
    CounterExample,
    HiddenData,
    Outcome,
    Submission,
    SubmissionError,
    as_utc,
    at_midnight,
    criterion,
    differences,
    equal_rows,
    equal_values,
    numbered,
    or_constant,
    place_feature_tables,
    place_payments_at_midnight,
    place_raw_tables,
    plant,
    split_problems,
)

SCRIPT = "generate_training_data.py"
KEYS = ["user_id", "merchant_id", EVENT_TIME]
VIEWS = ("user_transaction_features", "merchant_risk_features")
NAIVE_SHARE = 0.9
MOST_PROBLEMS = 5


def training_data(submission: Submission, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the result of their get_training_data for `frame`, under the brief's names."""
    own = submission.names.frame(frame)
    result = submission.call(2, SCRIPT, "get_training_data", own)
    table = _table(submission, result, "get_training_data")
    missing = [n for n in [*KEYS, *submission.hidden.critical] if n not in table]
    if missing:
        raise SubmissionError(f"get_training_data returned no column {', '.join(missing)}")
    return table


def _table(submission: Submission, result: Any, function: str) -> pd.DataFrame:
    """Return a function's result under the brief's names; its keys are texts, its times UTC."""
    if not isinstance(result, pd.DataFrame):
        raise SubmissionError(f"{function} returned {result!r:.60}, not a DataFrame")
    table = submission.names.canonical(result)
    for key in KEYS[:2]:
        if key in table and table[key].dtype.kind != "O":
            raise SubmissionError(
                f"{function} returned {key} as {table[key].dtype}: ids are strings, such as user_7"
            )
    if EVENT_TIME not in table:
        raise SubmissionError(f"{function} returned no column {EVENT_TIME}")
    return table.assign(**{EVENT_TIME: as_utc(table[EVENT_TIME])})


def in_order_of(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table`, one for each of `frame` and in its order; absent ones are null."""
    once = table.drop_duplicates(KEYS)
    keys = frame[KEYS].assign(**{EVENT_TIME: as_utc(frame[EVENT_TIME])})
    return keys.merge(once, on=KEYS, how="left", indicator="returned")


@criterion("2.1")
def training_data_is_generated(submission: Submission) -> Outcome:
    """get_training_data gives each row of the entity frame back once, with its label."""
    place_payments_at_midnight(submission)  # of 2.3: before a script can keep what it has read
    frame = submission.hidden.frame(1_000)
    table = training_data(submission, frame)
    rows = in_order_of(frame, table)
    is_back = rows["returned"] == "both"
    right = is_back & equal_rows(frame, rows, ["is_fraud", "transaction_amount"])
    return Outcome(
        bool(right.all()) and len(table) == len(frame),
        f"{int(right.sum())} of {len(frame)} rows back with label and amount, {len(table)} in all",
        f"each of the {len(frame)} rows once, label and amount unchanged",
        examples=differences(frame[KEYS], rows.where(is_back), ["user_id"], of=frame[KEYS]),
    )


@criterion("2.2")
def critical_features_have_no_nulls(submission: Submission) -> Outcome:
    """Every row has the values that could be known; others are left out, not filled from later."""
    hidden = submission.hidden
    knowable, early = hidden.frame(600), hidden.frame(100_000, knowable=False)
    early = early[~hidden.is_knowable(early)].head(100)
    frame = numbered(pd.concat([knowable, early]).drop_duplicates(KEYS).sort_values(EVENT_TIME))
    table = training_data(submission, frame)
    rows = in_order_of(frame, table)
    is_knowable = hidden.is_knowable(frame).to_numpy()
    lost = rows[is_knowable & rows[hidden.critical].isna().any(axis=1)]
    filled = _filled_from_later(submission, frame, rows)
    left = _nulls_exported(submission, table) if not lost.size and not filled else 0
    return Outcome(
        not len(lost) and not filled and not left,
        f"{len(lost)} knowable rows lost, {filled} filled from later, {left} nulls exported",
        f"0, 0, 0 of {int(is_knowable.sum())} knowable and {int((~is_knowable).sum())} other rows",
        hint="a row without history is excluded, or gets a constant; a later value is a leak",
        examples=[
            CounterExample(str(dict(r)), "a value", "null") for _, r in lost[KEYS].iterrows()
        ],
    )


def _filled_from_later(submission: Submission, frame: pd.DataFrame, rows: pd.DataFrame) -> int:
    """Values whose user or merchant had no history, but which are more than one constant."""
    answers = [submission.hidden.as_known(view, frame, timedelta()) for view in VIEWS]
    unknown = pd.concat(answers, axis=1).isna()
    named = submission.hidden.critical
    given = [rows.loc[unknown[name].to_numpy(), name].dropna() for name in named if name in unknown]
    return sum(len(values) for values in given if values.nunique() > 1)


def _nulls_exported(submission: Submission, table: pd.DataFrame) -> int:
    """Nulls in critical features after export, when the training data still hold some."""
    critical = submission.hidden.critical
    if not table[critical].isna().any(axis=None):
        return 0
    files = exported(submission, table.assign(is_fraud=np.arange(len(table)) % 2))
    splits = [files[f"X_{split}"].reindex(columns=critical) for split in SPLITS]
    return int(sum(split.isna().sum().sum() for split in splits))


@criterion("2.3")
def validation_separates_right_from_wrong(submission: Submission) -> Outcome:
    """validate_pit_correctness accepts point-in-time data, and rejects three wrong kinds."""
    hidden = submission.hidden
    payments = pd.concat([hidden.frame(500), at_midnight(hidden).frame]).sort_values(EVENT_TIME)
    right, other = (hidden.with_answers(f) for f in (numbered(payments), hidden.frame(400)))
    frames = {"right": right, "right again": other, **_tampered(submission, right)}
    in_any_order = np.random.default_rng([hidden.seed, 23]).permutation(list(frames))
    answers = {name: _accepts(submission, frames[name]) for name in in_any_order}
    accepted = {name: answers[name][0] for name in frames}
    raised = answers["right"][1] or answers["right again"][1]
    wrongly = [name for name, ok in accepted.items() if ok is not name.startswith("right")]
    return Outcome(
        not wrongly,
        ", ".join(f"{name} {'accepted' if ok else 'rejected'}" for name, ok in accepted.items()),
        "right accepted; future, stale and swapped values rejected",
        f"for the right table: {raised}" if raised else "",
        "return a bool or {'passed': bool}, or raise; what is printed does not count: "
        "docs/errata.md#validation-that-prints",
    )


def _tampered(submission: Submission, right: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables of which every other row is wrong, so that no single row shows it in all of them."""
    features = list(KNOWN_VIEWS[VIEWS[0]].features)
    newest = submission.hidden.newest(VIEWS[0]).reindex(right["user_id"])
    earlier = right.assign(**{EVENT_TIME: right[EVENT_TIME] - pd.Timedelta(days=20)})
    stale = submission.hidden.as_known(VIEWS[0], earlier, timedelta()).fillna(0)
    changed = {"future": newest, "stale": stale, "swapped": right.iloc[::-1]}
    tables = {}
    for first, (name, values) in enumerate(changed.items()):
        is_wrong = np.arange(len(right)) % 2 == (first + 1) % 2
        values = values[features].set_axis(right.index).astype(right[features].dtypes)
        tables[name] = right.copy()
        tables[name].loc[is_wrong, features] = values[is_wrong]
    return tables


def _accepts(submission: Submission, frame: pd.DataFrame) -> tuple[bool, str]:
    """Return whether their validation accepts a table, and what it raised."""
    try:
        own = submission.names.frame(frame)
        result = submission.call(2, SCRIPT, "validate_pit_correctness", own)
    except SubmissionError as error:
        return False, error.message
    return (bool(result.get("passed")) if isinstance(result, dict) else result is not False), ""


@criterion("2.4")
def values_match_a_recomputation(submission: Submission) -> Outcome:
    """Every feature equals the newest row at or before its moment, inside the TTL."""
    hidden = submission.hidden
    views = {view: submission.view(view, KNOWN_VIEWS[view].critical[0]) for view in VIEWS}
    planted = [plant(hidden, name, view.ttl) for name, view in views.items()]
    frame = pd.concat([hidden.frame(1_200).assign(case="not planted"), *planted])
    frame = numbered(frame.sort_values(EVENT_TIME))
    cases = frame.pop("case")
    place_feature_tables(submission)
    rows = in_order_of(frame, training_data(submission, frame))
    expected = pd.concat([hidden.as_known(v, frame, views[v].ttl) for v in VIEWS], axis=1)
    columns = [name for name in expected if name in rows]
    critical = [name for name in hidden.critical if name in columns]
    aside = (rows["returned"] != "both") & expected[critical].isna().any(axis=1)
    unordered = (cases == "tie") & _sorts_ties_by_chance(submission)
    wrong_ties = int((~equal_rows(expected, rows, critical) & unordered).sum())
    aside |= unordered
    frame, expected, rows = frame[~aside], expected[~aside], rows[~aside]
    expected = pd.DataFrame({name: or_constant(expected[name], rows[name]) for name in columns})
    right = pd.DataFrame({name: equal_values(expected[name], rows[name]) for name in columns})
    return Outcome(
        bool(right.all(axis=None)),
        f"{int(right.to_numpy().sum())} of {right.size} values equal",
        f"all {len(columns)} features of all {len(frame)} rows",
        _naive(hidden, frame, rows, ~right & expected.notna()),
        hint="planted: rows exactly at the moment, just after it, past their TTL, and corrected",
        examples=differences(expected, rows, columns, of=frame[KEYS].assign(case=cases)),
        notes=[f"Feast's file store took the older of {wrong_ties} corrected rows"]
        * (wrong_ties > 0),
    )


def _naive(hidden: HiddenData, frame: pd.DataFrame, rows: pd.DataFrame, wrong: pd.DataFrame) -> str:
    """Return a message if wrong values are those of a naive join: the newest of each entity."""
    newest = pd.concat(
        [hidden.newest(v).reindex(frame[KNOWN_VIEWS[v].key]).reset_index(drop=True) for v in VIEWS],
        axis=1,
    )
    naive = sum(int((equal_values(newest[n], rows[n]) & wrong[n]).sum()) for n in wrong)
    total = int(wrong.to_numpy().sum())
    if naive <= NAIVE_SHARE * total:
        return ""
    return f"{naive} of the {total} wrong values are the newest ones: the join ignores the moment"


def _sorts_ties_by_chance(submission: Submission) -> bool:
    """Return whether the store is Feast's `file`, which does so with corrected rows."""
    store = submission.store_config.get("offline_store") or "file"
    kind = store.get("type", "file") if isinstance(store, dict) else store
    return kind in ("file", "dask")


@criterion("2.5")
def splits_are_exported(submission: Submission) -> Outcome:
    """Six files: 70/15/15, disjoint, complete, no older test; features and labels of their rows."""
    frame = submission.hidden.with_answers(submission.hidden.frame(2_000))
    coin = np.random.default_rng(submission.hidden.seed).random(len(frame))
    frame["is_fraud"] = (coin < 0.3).astype("int64")
    in_any_order = np.random.default_rng([submission.hidden.seed, 25])
    frame["transaction_amount"] = in_any_order.permutation(frame["transaction_amount"])
    files = exported(submission, frame)
    problems = [p for p in split_problems(frame, files, submission.hidden.critical) if p]
    sizes = {split: len(files[f"X_{split}"]) for split in SPLITS}
    aside = len(files["excluded"]) if "excluded" in files else 0
    return Outcome(
        not problems,
        f"{', '.join(f'{split} {rows}' for split, rows in sizes.items())}, excluded {aside}",
        "70/15/15 within 2 points, every row once with its features; no label, id or time in X",
        "; ".join(problems[:MOST_PROBLEMS]),
    )


def exported(submission: Submission, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The files that their export_training_data writes for `frame`."""
    folders = [submission.repo, submission.exercise(2)]
    names = [f"{part}_{split}" for part in "Xy" for split in SPLITS]
    earlier = " ".join(
        f"data/{n}.{end}" for n in [*names, "excluded"] for end in ("parquet", "csv")
    )
    start = time.time() - 1  # file systems keep coarse times
    for folder in folders:  # by them: data/ may be a link to what is not theirs
        submission.run(f"rm -f {earlier}", cwd=folder)
    submission.call(2, SCRIPT, "export_training_data", submission.names.frame(frame))
    found = {name: submission.outputs(folders, name, start) for name in [*names, "excluded"]}
    missing = [name for name in names if found[name] is None]
    if missing:
        raise SubmissionError(f"export_training_data wrote no data/{missing[0]}.parquet, nor .csv")
    return {n: submission.names.canonical(t) for n, t in found.items() if t is not None}


@criterion("2.6")
def leakage_is_demonstrated(submission: Submission) -> Outcome:
    """A table shows, row by row, the point-in-time value next to the latest one."""
    place_raw_tables(submission)  # without the payments of 2.3, whose users have no late row
    result = submission.call(2, SCRIPT, "demonstrate_leakage")
    table = _table(submission, result, "demonstrate_leakage")
    if not {"user_id", "merchant_id"} & set(table):
        raise SubmissionError("demonstrate_leakage returned neither user_id nor merchant_id")
    unique = not table.duplicated([k for k in KEYS if k in table]).any()
    shown = [f for view in VIEWS if unique and (f := _feature_shown(submission, view, table))]
    return Outcome(
        bool(shown) and unique,
        f"{len(table)} rows, shown for {', '.join(shown) or 'no feature'}",
        "one column equal to the point-in-time value, one to the latest, each row once",
        "" if unique else "rows are multiplied: merge on the keys and the time, or by position",
        "both come from the store, at two moments: docs/errata.md#invented-latest-values",
    )


def _feature_shown(submission: Submission, view: str, table: pd.DataFrame) -> str | None:
    known = KNOWN_VIEWS[view]
    if known.key not in table or table.empty:
        return None
    ttl = submission.view(view, known.critical[0]).ttl
    right = submission.hidden.as_known(view, table, ttl)
    newest = submission.hidden.newest(view).reindex(table[known.key])
    columns = list(table.columns)
    for feature in known.features:
        is_right = any(
            equal_values(or_constant(right[feature], table[c]), table[c]).all() for c in columns
        )
        is_latest = any(equal_values(newest[feature], table[c]).all() for c in columns)
        if is_right and is_latest and not equal_values(right[feature], newest[feature]).all():
            return feature
    return None
