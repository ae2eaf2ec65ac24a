"""Puts hidden data where a submission reads them: in data/, and at its views' sources."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS, RAW_TABLES, KnownView
from checker.sandbox import untrusted
from checker.submission.registry import View
from checker.submission.submission import Submission
from checker.verdict.outcome import SubmissionError

DTYPES = {
    "INT32": "Int32",
    "INT64": "Int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "STRING": "string",
    "BOOL": "boolean",
}

NO_FILE = "a source is a file, or a push source whose batch source is a file: docs/contract.md"


def place_raw_tables(submission: Submission) -> None:
    """Copy the hidden raw tables into data/ of the working directory."""
    data = submission.repo / "data"
    for table in RAW_TABLES:
        file = submission.hidden.directory / f"{table}.parquet"
        if file.exists():
            with untrusted.written(data / file.name, submission.root) as copy:
                copy.write(file.read_bytes())


def place_feature_tables(submission: Submission) -> None:
    """Write each known view's hidden table to the path and columns that its source names."""
    by_path: dict[Path, list[View]] = defaultdict(list)
    for view in submission.registry.views.values():
        by_path[source_path(submission, view)].append(view)
    for path, views in by_path.items():
        known = [k for k in KNOWN_VIEWS.values() if own_view(submission, k) in views]
        if known:
            if not views[0].source.path:
                raise SubmissionError(f"{views[0].name} reads from no file", hint=NO_FILE)
            rows = submission.hidden.tables[known[0].name]
            table = own_columns(submission, known[0], views, rows)
            with untrusted.written(path, submission.root) as file:
                table.to_parquet(file, index=False, coerce_timestamps="us")


def source_path(submission: Submission, view: View) -> Path:
    """The file of a view's source; SubmissionError when it lies outside the submission."""
    path = submission.repo / view.source.path.removeprefix("file://")
    try:
        return untrusted.inside(
            path, submission.root, f"{view.source.path}, which {view.name} reads,"
        )
    except SubmissionError as error:
        hint = "name a path relative to feature_store.yaml, such as data/user_stats.parquet"
        raise SubmissionError(error.message, hint=hint) from error


def own_view(submission: Submission, known: KnownView) -> View | None:
    """Return the registered view that stands for a known one."""
    own_name, _ = submission.names.feature(known.name, known.features[0])
    return submission.registry.views.get(own_name)


def own_columns(
    submission: Submission, known: KnownView, views: list[View], rows: pd.DataFrame
) -> pd.DataFrame:
    """The `rows` of `known` under the columns of all `views` that share its file."""
    ours = {submission.names.feature(known.name, f)[1]: f for f in known.features}
    table: dict[str, pd.Series] = {}
    for view in views:
        if not view.join_keys:
            raise SubmissionError(f"{view.name} has no entity", hint=f"it is about {known.key}")
        table[view.source.column(view.join_keys[0])] = rows[known.key]
        table[view.source.column(view.source.event_time)] = rows[EVENT_TIME]
        if view.source.created:
            table[view.source.column(view.source.created)] = rows[CREATED]
        for feature, kind in view.features.items():
            column = view.source.column(feature)
            values = rows[ours[feature]] if feature in ours else _filler(rows.index, kind)
            table[column] = _as_declared(values, view, feature)
    return pd.DataFrame(table)


def _filler(index: pd.Index, kind: str) -> pd.Series:
    """Values for a feature that we do not know: they differ, and mean nothing."""
    return pd.Series(np.arange(len(index)) % (2 if kind == "BOOL" else 97), index=index)


def _as_declared(values: pd.Series, view: View, feature: str) -> pd.Series:
    """Values in the type that the view declares; SubmissionError where it cannot hold them."""
    kind = view.features[feature]
    try:
        return values.astype(DTYPES.get(kind, "string"))
    except (TypeError, ValueError) as error:
        message = f"{view.name} declares {feature} as {kind}, which cannot hold its values"
        raise SubmissionError(message, hint="a mean, a share or an amount is Float64") from error
