"""The monitor's memory: one SQLite file beside the data, for runs, results and alerts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lab.settings import settings

WAIT_S = 30
TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    job TEXT, period TEXT, as_of TEXT, finished TEXT, seconds REAL, scheduled INTEGER,
    PRIMARY KEY (job, period)
);
CREATE TABLE IF NOT EXISTS results (
    job TEXT, period TEXT, name TEXT, result TEXT,
    PRIMARY KEY (job, period, name)
);
CREATE TABLE IF NOT EXISTS open_alerts (
    type TEXT, feature TEXT, severity TEXT, message TEXT, since TEXT, last_sent TEXT,
    PRIMARY KEY (type, feature)
);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, channel TEXT, notice TEXT, written TEXT, attempts INTEGER DEFAULT 0,
    error TEXT DEFAULT ''
);
"""


def folder() -> Path:
    """Where the monitor keeps its memory and writes its reports."""
    return settings.data_dir / "monitoring"


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Everything in the block is written, or nothing; another process waits for its turn."""
    folder().mkdir(parents=True, exist_ok=True)
    file = folder() / "monitoring.db"
    with closing(sqlite3.connect(file, timeout=WAIT_S, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.executescript(TABLES)
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection
