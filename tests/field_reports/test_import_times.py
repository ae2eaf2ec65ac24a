"""Times in the form of somebody's export, imported as the right moment in UTC.

Seconds read as milliseconds are days of January 1970: dietrichmax/colota/issues/43 on github.com.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lab.dataset.importer import import_table
from lab.dataset.mapping import ImportOptions
from lab.errors import UserError

AT_TEN = "2024-01-01T10:00:00+00:00"

# (name, input, right value, source)
CASES = [
    (
        "offset_to_the_day_before",
        "2008-01-10T22:00:00-05:00",
        "2008-01-11T03:00:00+00:00",
        "created_at of an order in Shopify's REST API: ISO 8601 with the shop's offset",
    ),
    (
        "bigquery",
        "2019-10-01 00:00:00 UTC",
        "2019-10-01T00:00:00+00:00",
        "bxparks/bigquery-schema-generator/issues/19",
    ),
    ("java_instant", "2024-01-01T10:00:00Z", AT_TEN, "Instant.toString()"),
    ("java_zoned", "2024-01-01T11:00+01:00[Europe/Berlin]", AT_TEN, "ZonedDateTime.toString()"),
    ("java_utc", "2024-01-01T10:00:00Z[UTC]", AT_TEN, "ZonedDateTime.toString() in UTC"),
    ("go", "2024-01-01 11:00:00.5 +0100 CET m=+0.01", f"{AT_TEN[:19]}.5+00:00", "Time.String()"),
    ("go_utc", "2024-01-01 10:00:00 +0000 UTC", AT_TEN, "Time.String() in UTC"),
    ("python", "2024-01-01 10:00:00.250000+00:00", f"{AT_TEN[:19]}.25+00:00", "str(datetime)"),
    ("python_zone", "2024-01-01 15:30:00 UTC+05:30", AT_TEN, "strftime('%Z') of a fixed offset"),
    ("csharp", "2024-01-01T10:00:00.0000000Z", AT_TEN, "DateTime.ToString('o')"),
    ("numpy", "2024-01-01T10:00:00.123456789Z", f"{AT_TEN[:19]}.123456+00:00", "datetime64[ns]"),
    ("ruby", "2024-01-01 05:00:00 -0500", AT_TEN, "Time#to_s"),
    ("postgres", "2024-01-01 10:00:00+00", AT_TEN, "a timestamptz in a CSV export"),
    ("basic", "20240101T110000.0+0100", AT_TEN, "ISO 8601, basic format"),
    ("comma", "2024-01-01T10:00:00,250Z", f"{AT_TEN[:19]}.25+00:00", "ISO 8601, decimal comma"),
    ("lower_case", "2024-01-01t10:00:00z", AT_TEN, "RFC 3339, section 5.6"),
    ("minus_sign", "2024-01-01T05:00:00\N{MINUS SIGN}05:00", AT_TEN, "ISO 8601 prefers U+2212"),
    ("minutes", "2024-01-01T10:00Z", AT_TEN, "ISO 8601, reduced precision"),
    ("leap_second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00", "RFC 3339, section 5.7"),
    ("calendar", "2024-01-01T11:00:00+01:00[Europe/Berlin][u-ca=iso8601]", AT_TEN, "RFC 9557"),
    ("zone_only", "2024-01-01T10:00:00[UTC]", AT_TEN, "a ZonedDateTime without its offset"),
    ("short_offset", "2024-01-01 11:00:00 GMT+1", AT_TEN, "timeZoneName of JavaScript's Intl"),
    ("end_of_day", "2023-12-31T24:00:00Z", "2024-01-01T00:00:00+00:00", "ISO 8601, 24:00"),
]


def moments(folder: Path, given: str, **options: Any) -> list[datetime]:
    """Import one payment at the given time; return the event times of the data."""
    file = folder / "export.csv"
    file.write_text(f'user_id,merchant_id,amount,event_timestamp\nann,shop,9.50,"{given}"\n')
    import_table(folder / "data", file, ImportOptions(**options))
    table = pq.read_table(folder / "data" / "transactions.parquet")
    times: list[datetime] = table["event_timestamp"].to_pylist()
    return times


@pytest.mark.parametrize(
    ("given", "right"), [case[1:3] for case in CASES], ids=[case[0] for case in CASES]
)
def test_import_times(given: str, right: str, tmp_path: Path) -> None:
    assert moments(tmp_path, given) == [datetime.fromisoformat(right)]


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        *(("1704103200", "s"), ("1704103200.0", "s"), ("1.7041032e9", "s")),
        *(("1704103200000", "ms"), ("1704103200000000", "us"), ("1704103200000000000", "ns")),
    ],
)
def test_a_number_since_1970_needs_its_unit(given: str, unit: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"since 1970 .*{given}(.|\n)*--epoch {unit}$"):
        moments(tmp_path, given)
    assert moments(tmp_path, given, epoch=unit) == [datetime.fromisoformat(AT_TEN)]
    for other in {"s", "ms", "us", "ns"} - {unit}:  # read as milliseconds, seconds are in 1970
        with pytest.raises(UserError, match=f"--epoch {unit}$"):
            moments(tmp_path, given, epoch=other)


@pytest.mark.parametrize("zone", ["America/New_York", "utc"])
def test_the_first_moment_is_the_same_in_all_zones(zone: str, tmp_path: Path) -> None:
    written = {"utc": "1970-01-01 00:00:00", "America/New_York": "1969-12-31 19:00:00"}[zone]
    assert moments(tmp_path, written, timezone=zone) == [datetime(1970, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("9999-12-31 00:00:00", "more than a day after now"),
        ("20240-12-31 00:00:00", "more than a day after now"),
        ("1969-12-31 23:59:59Z", "before 1970"),
        ("1900-01-01", "before 1970"),
        *((text, "not an ISO date and time") for text in ("infinity", "2024-02-30", "1/31/2024")),
        # A name of a zone may be of several; taking it for local time is hours off
        *((text, "not an ISO date and time") for text in ("2024-01-01 10:00:00 EST", "epoch")),
        # A day of Excel, ticks of .NET, digits without a separator: no numbers since 1970
        *((text, "not an ISO date") for text in ("45292.41", "638396784" + "0" * 9, "202401" * 2)),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_its_text(
    given: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=problem) as refused:
        moments(tmp_path, given, timezone="UTC")
    assert f"row 1: {given!r}" in str(refused.value)
