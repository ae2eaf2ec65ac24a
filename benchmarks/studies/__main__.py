"""Measure the value of streaming features, and write docs/studies. `make payoff` runs it.

python -m benchmarks.studies [PAYMENTS]
"""

import os
import subprocess
import sys

import pandas as pd

from benchmarks.studies import figure, report
from lab.learn import settings

PAYMENTS = 1_000_000
SEED = settings.seed
ALL, KINDS = "sizes,kinds,ages,groups,maturity,itself,leakage", "sizes,kinds"
STUDIES = ((ALL, SEED), (KINDS, SEED + 1), (KINDS, SEED + 2), ("real", SEED))


def measure(parts: str, seed: int, payments: int) -> pd.DataFrame:
    """Measure one data set in a process of its own, which bounds the memory."""
    folder = settings.build_dir / "studies" / ("real" if parts == "real" else f"{payments}-{seed}")
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "figures.csv"
    places = {"LAB_DATA_DIR": str(folder), "LAB_SEED": str(seed), "LAB_STORES": "plugins"}
    command = [sys.executable, "-m", f"{__package__}.measure", parts, str(payments), str(result)]
    print(f"seed {seed}: {parts}", flush=True)
    subprocess.run(command, env=os.environ | places, check=True)
    return pd.read_csv(result, keep_default_na=False, na_values=[""])


def main() -> None:
    payments = int(sys.argv[1]) if sys.argv[1:] else PAYMENTS
    results = pd.concat([measure(parts, seed, payments) for parts, seed in STUDIES])
    report.write(results)
    figure.draw(report.read_results(), report.measured_freshness(), report.STUDIES)


if __name__ == "__main__":
    main()
