"""Another DuckDB's side, by the interpreter of its own environment: duckdb_side.py FRAME QUERY OUT.

The frame is loaded first. Each line of standard input runs the query, into a pandas frame, and is
answered with its time; the first result is stored.
"""

import json
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd


def main() -> None:
    frame = pd.read_parquet(sys.argv[1])
    query, out = Path(sys.argv[2]).read_text(), Path(sys.argv[3])
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("frame", frame)
            answer = connection.execute(query).df()
        seconds = time.perf_counter() - started
        if not out.exists():
            answer.to_parquet(out)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
