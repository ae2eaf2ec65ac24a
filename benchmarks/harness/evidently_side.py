"""Evidently's side, run by the interpreter of its own environment: python evidently_side.py FOLDER.

Both windows are loaded first; then each line of standard input is a statistic's name, and each line
of the output has the time of its report and its results. Nothing is rendered.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift


def main() -> None:
    folder = Path(sys.argv[1])
    frames = [pd.read_parquet(folder / f"{side}.parquet") for side in ("reference", "current")]
    names = list(frames[0].columns)
    definition = DataDefinition(numerical_columns=names)
    reference, current = (Dataset.from_pandas(frame, definition) for frame in frames)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        report = Report([ValueDrift(column=name, method=line.strip()) for name in names])
        started = time.perf_counter()
        metrics = report.run(current, reference).dict()["metrics"]
        seconds = time.perf_counter() - started
        values = {name: float(m["value"]) for name, m in zip(names, metrics, strict=True)}
        print(json.dumps({"seconds": seconds, "values": values}), flush=True)


if __name__ == "__main__":
    main()
