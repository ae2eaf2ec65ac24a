"""A view's columns, types, ranges and keys: from the registry and expectations.toml, by pandera."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pandera.polars as pandera
import polars as pl
from feast import FeatureView

from exercise_06_monitoring.production.check import WHOLE_TABLE, Check, counted
from exercise_06_monitoring.production.quality.arrivals import Arrivals, times_of
from exercise_06_monitoring.production.quality.expectations import (
    FeatureExpectation,
    ViewExpectation,
)
from feast_plugins.feature_source import arrow_type, same_kind, source_columns


def check_schema(arrivals: Arrivals, rows: pl.DataFrame, expected: ViewExpectation) -> list[Check]:
    """Columns that are missing, left over or of another type; values out of range; keys twice."""
    view, types = arrivals.view, list(_types(arrivals))
    known = [check.column for check in types if check.passed]
    limits = {name: limit for name, limit in expected.features.items() if name in known}
    failed = _failures(_schema_of(view, limits), rows)
    wrong_columns = failed["column_in_dataframe"] + failed["column_in_schema"]
    return [
        Check(
            WHOLE_TABLE,
            "columns",
            sum(wrong_columns.values()),
            not wrong_columns,
            _columns_message(failed),
        ),
        *types,
        *_ranges(limits, failed["range"]),
        _keys(view, failed["unique"]),
    ]


def _schema_of(
    view: FeatureView, limits: Mapping[str, FeatureExpectation]
) -> pandera.DataFrameSchema:
    columns = {
        name: pandera.Column(checks=_limits(limits.get(name)), nullable=True)
        for name in source_columns(view)
    }
    return pandera.DataFrameSchema(columns, strict=True, unique=_keys_of(view))


def _limits(expected: FeatureExpectation | None) -> list[pandera.Check]:
    if expected is None:
        return []
    least = [] if expected.min is None else [pandera.Check.ge(expected.min)]
    most = [] if expected.max is None else [pandera.Check.le(expected.max)]
    return least + most


def _keys_of(view: FeatureView) -> list[str]:
    """What identifies a row: a correction has the event time of what it corrects."""
    return [*view.join_keys, *times_of(view)]


def _failures(schema: pandera.DataFrameSchema, rows: pl.DataFrame) -> dict[str, Counter[str]]:
    """How often each rule failed, by column."""
    found = {
        rule: Counter[str]()
        for rule in ("column_in_dataframe", "column_in_schema", "range", "unique")
    }
    try:
        schema.validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        for case in errors.failure_cases.iter_rows(named=True):
            if case["check"].startswith("column_in"):
                found[case["check"]][case["failure_case"]] += 1
            elif case["check"] == "multiple_fields_uniqueness":
                found["unique"][WHOLE_TABLE] += 1
            else:
                found["range"][case["column"]] += 1
    return found


def _columns_message(failed: dict[str, Counter[str]]) -> str:
    missing, extra = failed["column_in_dataframe"], failed["column_in_schema"]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"not declared: {', '.join(extra)}"] if extra else []
    return "; ".join(parts) or "as declared"


def _types(arrivals: Arrivals) -> Iterator[Check]:
    """The rule is the offline store's: another width of number is read, another kind is not."""
    for feature in arrivals.view.features:
        if feature.name in arrivals.schema:
            found, declared = arrivals.schema[feature.name], arrow_type(feature.dtype)
            fits = same_kind(found, declared)
            message = f"{found}, declared as {declared}"
            yield Check(feature.name, "type", int(not fits), fits, message)


def _ranges(limits: Mapping[str, FeatureExpectation], outside: Counter[str]) -> Iterator[Check]:
    for name, limit in limits.items():
        if limit.min is not None or limit.max is not None:
            message = f"{counted(outside[name], 'value')} {_beyond(limit)}"
            yield Check(name, "range", outside[name], not outside[name], message)


def _beyond(limit: FeatureExpectation) -> str:
    if limit.max is None:
        return f"below {limit.min:g}"
    return (
        f"above {limit.max:g}" if limit.min is None else f"outside {limit.min:g} to {limit.max:g}"
    )


def _keys(view: FeatureView, twice: Counter[str]) -> Check:
    rows = twice[WHOLE_TABLE]
    keys = ", ".join(_keys_of(view))
    return Check(WHOLE_TABLE, "unique_keys", rows, not rows, f"{rows} rows repeat their {keys}")
