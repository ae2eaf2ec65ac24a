"""Latency over load: the clients' latency at each offered rate, until the server is saturated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.harness.http_client import Answers

RANKS = {50: ":", 95: "-", 99: "--"}


@dataclass(frozen=True)
class Point:
    """Milliseconds by percentile, at a number of requests offered a second; of runs the median."""

    rate: int
    milliseconds: Mapping[int, float]

    @classmethod
    def of(cls, rate: int, runs: Sequence[Answers]) -> "Point":
        return cls(rate, {rank: median(run.percentile(rank) for run in runs) for rank in RANKS})


def draw(
    curves: Mapping[str, Sequence[Point]], saturation: Mapping[str, float], file: Path
) -> None:
    """Draw the curves as a PNG; `saturation` is each side's requests a second in a closed loop."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        for rank, style in RANKS.items():
            latencies = [point.milliseconds[rank] for point in points]
            axes.plot(
                [point.rate for point in points],
                latencies,
                style,
                color=f"C{number}",
                marker=".",
                label=f"{name}, p{rank}",
            )
    for number, (name, rate) in enumerate(saturation.items()):
        axes.axvline(rate, color=f"C{number}", lw=1, alpha=0.5, label=f"{name}: {rate:,.0f}/s")
    axes.set(yscale="log", xlabel="requests offered a second, in an open loop")
    axes.set(ylabel="latency as the client sees it, ms", xlim=(0, None))
    axes.set_title("Latency over load; vertical: most requests a second in a closed loop")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both")
    figure.legend(fontsize=8, loc="outside right upper")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120, format="png")
