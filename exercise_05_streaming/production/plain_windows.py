"""The same windows as Flink has them, over the log as it is now: TUMBLE, HOP and SESSION.

    python -m exercise_05_streaming.production.plain_windows

To compare with the tiles, and to learn from: sql/plain_windows.sql is what one writes first. The
values are the same, but each comes only when its window is over, and an event is counted in 12
windows of an hour and in 24 of a day.
"""

from collections import Counter
from typing import Any

from exercise_05_streaming.production.job.flink import open_flink
from exercise_05_streaming.production.job.preflight import require_services
from exercise_05_streaming.production.job.statements import PLAIN_WINDOWS, statements
from lab.errors import run_script


def plain_windows() -> list[dict[str, Any]]:
    """Every window of every user: name, user_id, its start and end (UTC), counts and cents."""
    flink = open_flink()
    for statement in statements(*PLAIN_WINDOWS, until="latest-offset", log="timed_transactions"):
        flink.execute_sql(statement)
    result = flink.from_path("plain_windows").execute()
    names = result.get_table_schema().get_field_names()
    with result.collect() as rows:
        return [dict(zip(names, row, strict=True)) for row in rows]


def main() -> None:
    require_services()
    windows = plain_windows()
    for name, count in Counter(window["name"] for window in windows).items():
        print(f"{name}: {count:,} windows")


if __name__ == "__main__":
    run_script(main)
