"""Types of source columns: which may stand for a declared one, and how values are converted."""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import polars as pl
import pyarrow as pa
from feast.types import (
    Array,
    Bool,
    Bytes,
    FeastType,
    Float32,
    Float64,
    ImageBytes,
    Int32,
    Int64,
    PdfBytes,
    PrimitiveFeastType,
    Set,
    String,
    UnixTimestamp,
    from_feast_to_pyarrow_type,
)
from polars.datatypes import DataTypeClass

from feast_plugins.duckdb_session import connect

PolarsType: TypeAlias = pl.DataType | DataTypeClass

BINARY = (Bytes, ImageBytes, PdfBytes)  # Feast's own table of Arrow types lacks them
ONE_FORM = (Bool, Int32, Int64, Float32, Float64, String, UnixTimestamp)
NUMBERS = {"integer", "float", "decimal"}
TAKES = {
    "integer": {*NUMBERS, "bool"},
    "float": {*NUMBERS, "bool"},
    "bool": {"bool", "integer"},
    "text": {"text", "integer"},
    "timestamp": {"timestamp", "date", "integer"},
}


def declared_type(declared: FeastType) -> pa.DataType | None:
    """Return Arrow's type for a Feast type; None where it has several, such as Map, Json, Decimal.

    Times are UTC microseconds.
    """
    if isinstance(declared, Array | Set) and isinstance(declared.base_type, PrimitiveFeastType):
        item = declared_type(declared.base_type)
        return pa.list_(item) if item else None
    if declared in BINARY:
        return pa.binary()
    return from_feast_to_pyarrow_type(declared) if declared in ONE_FORM else None


def returned_type(declared: FeastType, stored: pa.DataType) -> pa.DataType:
    """Return the type of a feature for which Arrow has several: as stored, like Feast's stores.

    But text is of Feast's own text type, and the declared fields of a struct are of their types.
    """
    try:
        wanted = from_feast_to_pyarrow_type(declared)
    except ValueError:  # Feast knows no type of Arrow for it
        return stored
    if pa.types.is_struct(wanted) and pa.types.is_struct(stored):
        fields = {field.name: field.type for field in wanted}
        return pa.struct([(f.name, _field_type(f.type, fields.get(f.name))) for f in stored])
    return wanted if kind(stored) == kind(wanted) == "text" else stored


def _field_type(stored: pa.DataType, wanted: pa.DataType | None) -> pa.DataType:
    return wanted if wanted and takes(wanted, stored) else stored


def widened(wanted: pa.DataType, stored: pa.DataType) -> pa.DataType:
    """Return the stored width of a number where it is the wider one, as Feast's stores do."""
    if pa.types.is_list(wanted) and kind(stored) == "list":
        return pa.list_(widened(wanted.value_type, stored.value_type))
    is_signed = pa.types.is_signed_integer(stored) or pa.types.is_floating(stored)
    is_wider = is_signed and kind(stored) == kind(wanted) and stored.bit_width > wanted.bit_width
    return stored if is_wider else wanted


def takes(wanted: pa.DataType, found: pa.DataType) -> bool:
    """Return whether values of one type may be converted to the other."""
    of, to = kind(found), kind(wanted)
    if of == "list" and to == "list":
        return takes(wanted.value_type, found.value_type)
    return of == "null" or of in TAKES.get(to, {to})


def same_key_kind(one: pa.DataType, other: pa.DataType) -> bool:
    """Return whether keys of the two types can be equal; a column without values always may be."""
    kinds = {kind(one), kind(other)} - {"null"}
    return len(kinds) < 2 or kinds <= NUMBERS or kinds == {"date", "timestamp"}


def kind(arrow: pa.DataType) -> str:
    """Return a type's family, in which widths, units, zones and encodings do not count."""
    if pa.types.is_dictionary(arrow):
        return kind(arrow.value_type)
    for name, belongs in _FAMILIES.items():
        if any(test(arrow) for test in belongs):
            return name
    return str(arrow).split("[")[0].split("<")[0]


_FAMILIES = {
    "bool": [pa.types.is_boolean],
    "integer": [pa.types.is_integer],
    "float": [pa.types.is_floating],
    "decimal": [pa.types.is_decimal],
    "text": [pa.types.is_string, pa.types.is_large_string],
    "binary": [pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary],
    "timestamp": [pa.types.is_timestamp],
    "date": [pa.types.is_date],
    "list": [pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list],
}


def promoted(types: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type that Arrow promotes the types of several files to.

    Raises pyarrow.ArrowTypeError where there is none; its message names both files.
    """
    (first, result), *others = ((file, _decoded(found)) for file, found in types.items())
    for file, found in others:
        if found == result:
            continue
        before = result
        pair = [pa.schema([("", result)]), pa.schema([("", found)])]
        try:
            result = pa.unify_schemas(pair, promote_options="permissive").field(0).type
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise pa.ArrowTypeError(f"is {result} in {first}, {found} in {file}") from error
        if is_too_wide(result):
            where = f"{before} in {first}, {found} in {file}"
            raise pa.ArrowTypeError(f"is {result}, which is too wide: {where}")
    return result


def is_too_wide(found: pa.DataType) -> bool:
    """Return whether a type has decimals of more digits than polars holds, 38."""
    if pa.types.is_decimal(found):
        return bool(found.precision > 38)
    return any(is_too_wide(found.field(place).type) for place in range(found.num_fields))


def promoted_key(types: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type of a join key in several files: an integer if one of them has integers.

    A float does not hold every integer: two keys would become one.
    """
    integers = {file: found for file, found in types.items() if kind(found) == "integer"}
    are_numbers = {kind(found) for found in types.values()} <= {*NUMBERS, "null"}
    return promoted(integers if integers and are_numbers else types)


def _decoded(found: pa.DataType) -> pa.DataType:
    """Return a type without its encoding or spare width; times are UTC, as no zone is UTC too."""
    if pa.types.is_dictionary(found):
        return found.value_type
    if pa.types.is_decimal256(found) and not is_too_wide(found):
        return pa.decimal128(found.precision, found.scale)
    return pa.timestamp(found.unit, "UTC") if pa.types.is_timestamp(found) else found


def polars_type(arrow: pa.DataType) -> PolarsType:
    """Return the type in which polars holds a type of Arrow."""
    empty = pl.from_arrow(pa.array([], _decoded(arrow)))
    assert isinstance(empty, pl.Series)
    return empty.dtype


def convert(
    value: pl.Expr, found: PolarsType, wanted: PolarsType, *, strict: bool = True
) -> pl.Expr:
    """Convert a column. NaN as a whole number is null; a number as a time is Unix seconds.

    Polars raises for a value that does not fit the type; if not `strict`, it becomes null.
    """
    if found == wanted:
        return value
    if isinstance(wanted, pl.Struct) and isinstance(found, pl.Struct):
        return _convert_fields(value, found, wanted, strict=strict)
    if isinstance(wanted, pl.List) and isinstance(found, pl.List | pl.Array):
        items = value.cast(pl.List(found.inner))
        return items.list.eval(convert(pl.element(), found.inner, wanted.inner, strict=strict))
    if wanted.is_integer() and found.is_float():
        has_fraction = value != value.floor()
        value = pl.when(value.is_nan()).then(None).when(has_fraction).then(NAN).otherwise(value)
    elif wanted.is_integer() and found.is_decimal():
        value = value.cast(pl.String).str.replace(r"\.0+$", "")
    elif isinstance(wanted, pl.Datetime):
        if found in (pl.String, pl.Categorical):
            value = value.cast(pl.String).map_batches(partial(_parsed, strict=strict), UTC)
        value = _from_seconds(value, strict=strict) if found.is_integer() else value
        return as_utc(value, strict=strict).dt.replace_time_zone(wanted.time_zone)
    return value.cast(wanted, strict=strict)


NAN = float("nan")
UTC = pl.Datetime("us", "UTC")


def _from_seconds(seconds: pl.Expr, *, strict: bool) -> pl.Expr:
    """Return Unix seconds as times; `pl.from_epoch` wraps where microseconds have no 64 bits."""
    microseconds = (seconds.cast(pl.Int128) * 1_000_000).cast(pl.Int64, strict=strict)
    return microseconds.cast(pl.Datetime("us"))


def _parsed(texts: pl.Series, *, strict: bool) -> pl.Series:
    """Parse ISO 8601 text with DuckDB, as a materialization does."""
    rows = pa.table({"text": texts.to_arrow(compat_level=pl.CompatLevel.oldest())})
    with connect() as connection:
        connection.register("texts", rows)
        answer = connection.execute("SELECT TRY_CAST(text AS TIMESTAMPTZ) AS time FROM texts")
        times = pl.DataFrame(answer.to_arrow_table())["time"].cast(UTC)
    if strict and times.null_count() > texts.null_count():
        raise pl.exceptions.InvalidOperationError("a text is not a time")
    return times


def _convert_fields(
    value: pl.Expr, found: pl.Struct, wanted: pl.Struct, *, strict: bool
) -> pl.Expr:
    """Convert a struct by the names of its fields; one that is missing is null."""
    stored = {field.name: field.dtype for field in found.fields}
    fields = [
        convert(value.struct.field(f.name), stored[f.name], f.dtype, strict=strict).alias(f.name)
        if f.name in stored
        else pl.lit(None, f.dtype).alias(f.name)
        for f in wanted.fields
    ]
    return pl.when(value.is_not_null()).then(pl.struct(fields))


def as_utc(times: pl.Expr, *, strict: bool = True) -> pl.Expr:
    """Return times as UTC microseconds without a zone; those without a zone are UTC already."""
    return times.cast(UTC, strict=strict).dt.replace_time_zone(None)
