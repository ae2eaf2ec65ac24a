"""Parse the time formats of common programs, in SQL.

Accepted: ISO 8601 and RFC 3339, extended or basic, with or without a time zone, as printed by
Python, JavaScript, Java (`[Europe/Berlin]` after the offset), Go (`+0100 CET`), C#, Ruby and
databases (`UTC` after the time); or a number of seconds, milliseconds, microseconds or nanoseconds
since 1970. Digits below a microsecond are cut.
"""

from lab.dataset.session import literal

BASIC_DATE = r"^(\d{4})(\d\d)(\d\d)($|[Tt _])"
DATE = r"(\d{4,6})-(\d\d)-(\d\d)"
TIME = r"([01]\d|2[0-4])(?::?([0-5]\d)(?::?([0-5]\d|60)(?:[.,](\d+))?)?)?"
UTC_NAME = r"Z|UTC|GMT|UT|Zulu|Etc/UTC|Etc/GMT|\(UTC\)|\[(?:Z|UTC|Etc/UTC)\]"
OFFSET = r"(?:UTC|GMT)?([+\x{2212}-])([01]?\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d))?)?"
ZONE_LABEL = r"(?: (?:[A-Z]{1,5}|[+-]\d{2,4}))?(?:\[[\w/+=!,-]+\])*(?: m=\S+)?"
ISO = rf"(?i)^{DATE}(?:(?:[T_]| +){TIME}(?: ?(?:({UTC_NAME})|{OFFSET}){ZONE_LABEL})?)?$"
PARTS = (
    *("year", "month", "day", "hour", "minute", "second", "fraction"),
    *("utc", "sign", "offset_hour", "offset_minute", "offset_second"),
)
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}
PLAUSIBLE_US = 1e15, 4.2e15  # 2001 to 2103: a number is of one unit only
NUMBER_OF = {
    "s": "a number of seconds since 1970",
    "ms": "a number of milliseconds since 1970",
    "us": "a number of microseconds since 1970",
    "ns": "a number of nanoseconds since 1970",
}
LONGEST_US = 250_000_000_000_000_000  # thousands of years after now, and no overflow


def parsed_iso(text: str) -> str:
    """Return the query expression of a struct: `moment`, and `has_zone`.

    `moment` is null for a text that is no time; in UTC if it has a zone, else as written.
    """
    extended = rf"regexp_replace({text}, '{BASIC_DATE}', '\1-\2-\3\4')"
    parts = f"regexp_extract({extended}, {literal(ISO)}, {list(PARTS)})"
    return f"list_transform([{parts}], lambda part: {_moment_of_parts('part')})[1]"


def parsed_epoch(text: str, unit: str) -> str:
    """Return the query expression of the same struct for a number of `unit` since 1970."""
    number = f"TRY_CAST({text} AS DECIMAL(38, 9)) * {MICROSECONDS[unit]}"
    in_range = f"CASE WHEN abs({number}) < {LONGEST_US} THEN floor({number})::BIGINT END"
    return f"{{'moment': make_timestamp({in_range}), 'has_zone': true}}"


def is_plausible(text: str, unit: str) -> str:
    """Return the condition that a text is a number of `unit` from 2001 to 2103."""
    low, high = PLAUSIBLE_US
    moment_us = f"TRY_CAST({text} AS DOUBLE) * {MICROSECONDS[unit]}"
    return f"coalesce({moment_us} BETWEEN {low} AND {high}, false)"


def _moment_of_parts(part: str) -> str:
    date = f"TRY_CAST(concat_ws('-', {part}.year, {part}.month, {part}.day) AS DATE)::TIMESTAMP"
    clock = f"{_seconds(part, 'hour', 'minute', 'second')} * 1000000 + {_fraction_us(part)}"
    offset = _seconds(part, "offset_hour", "offset_minute", "offset_second")
    east = f"CASE {part}.sign WHEN '' THEN 0 WHEN '+' THEN 1 ELSE -1 END"
    moment = f"{date} + to_microseconds({clock}) - to_seconds({east} * {offset})"
    is_past_midnight = f"{part}.hour = '24' AND {clock} > 86400000000"
    return (
        f"{{'moment': CASE WHEN {is_past_midnight} THEN NULL ELSE {moment} END, "
        f"'has_zone': {part}.utc <> '' OR {part}.sign <> ''}}"
    )


def _seconds(part: str, hour: str, minute: str, second: str) -> str:
    hours, minutes, seconds = (f"{_whole(f'{part}.{name}')}" for name in (hour, minute, second))
    return f"({hours} * 3600 + {minutes} * 60 + {seconds})"


def _fraction_us(part: str) -> str:
    return _whole(f"rpad(left({part}.fraction, 6), 6, '0')")


def _whole(text: str) -> str:
    return f"coalesce(TRY_CAST({text} AS BIGINT), 0)"
