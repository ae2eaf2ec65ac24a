"""Evidently's side, run by the interpreter of its own environment: python evidently_side.py FOLDER.

Both windows are loaded first; then each line of standard input is a statistic's name, and each line
of the output what its report took and found. Nothing is rendered.
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
        answer = {"seconds": seconds, "values": values, "peak_gib": peak_gib()}
        print(json.dumps(answer), flush=True)


def peak_gib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


if __name__ == "__main__":
    main()
