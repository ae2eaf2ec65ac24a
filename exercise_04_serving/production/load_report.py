"""What a load test measured: raw samples, their percentiles, and a picture of them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table

Floats = NDArray[np.float64]

PERCENTILES = (50, 90, 95, 99, 99.9)
CLIENT, SERVER, WITHOUT_INFERENCE = "client", "server", "server, without inference"
INFERENCE = re.compile(r"\bmodel;dur=([\d.e+-]+)")


def inference_of(headers: Mapping[str, str]) -> float | None:
    """The milliseconds that the model took, by the answer's Server-Timing."""
    found = INFERENCE.search(headers.get("Server-Timing", ""))
    return float(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it was due, and what it took from then on, in milliseconds.

    `late_ms` is how long the client itself took to send it: when that is much, the client is the
    one that is too slow. `server_ms` and `inference_ms` are what the server says of itself.
    """

    due_s: float
    late_ms: float
    client_ms: float
    server_ms: float | None = None
    inference_ms: float | None = None
    error: str | None = None

    @property
    def without_inference_ms(self) -> float | None:
        """What the server took beside its model; None where it does not tell."""
        if self.server_ms is None or self.inference_ms is None:
            return None
        return self.server_ms - self.inference_ms


@dataclass(frozen=True)
class Run:
    """All samples of a load test, and how many seconds it took until the last answer."""

    samples: Sequence[Sample]
    seconds: float

    @cached_property
    def errors(self) -> Counter[str]:
        """How many requests failed, by kind."""
        return Counter(sample.error for sample in self.samples if sample.error)

    @cached_property
    def latencies(self) -> dict[str, Floats]:
        """Milliseconds of the requests that were answered, by where they are measured."""
        good = [sample for sample in self.samples if sample.error is None]
        measured: dict[str, list[float | None]] = {
            CLIENT: [sample.client_ms for sample in good],
            SERVER: [sample.server_ms for sample in good],
            WITHOUT_INFERENCE: [sample.without_inference_ms for sample in good],
        }
        known = {
            where: [ms for ms in all_ms if ms is not None] for where, all_ms in measured.items()
        }
        return {where: np.array(all_ms) for where, all_ms in known.items() if all_ms}

    @property
    def summary(self) -> str:
        """Throughput, errors by kind, and how punctual the client was."""
        good = len(self.samples) - self.errors.total()
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.errors.most_common())
        late = np.percentile([sample.late_ms for sample in self.samples], 99)
        return (
            f"{good / self.seconds:,.0f} answers a second; errors: {kinds or 'none'}; "
            f"the client sent 99 % within {late:.1f} ms of their moment"
        )


def percentiles(latencies: Floats, wanted: Iterable[float] = PERCENTILES) -> list[float]:
    """From the raw samples: each is a latency that some request really had."""
    return [float(p) for p in np.percentile(latencies, list(wanted), method="inverted_cdf")]


def table(run: Run) -> Table:
    """Latencies in milliseconds, by where they are measured."""
    shown = Table(box=box.SIMPLE, title="Latency, ms", title_justify="left")
    shown.add_column("measured by")
    for heading in ("mean", *(f"p{p:g}" for p in PERCENTILES), "max"):
        shown.add_column(heading, justify="right")
    for where, ms in run.latencies.items():
        row = [ms.mean(), *percentiles(ms), ms.max()]
        shown.add_row(where, *(f"{value:.2f}" for value in row))
    return shown


def draw(run: Run, file: Path) -> None:
    """Latency over time, and how it is distributed, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    over_time, distribution = figure.subplots(1, 2)
    good = [sample for sample in run.samples if sample.error is None]
    over_time.plot([s.due_s for s in good], [s.client_ms for s in good], ".", ms=2, alpha=0.5)
    for kind in run.errors:
        failed = [s for s in run.samples if s.error == kind]
        over_time.plot([s.due_s for s in failed], [s.client_ms for s in failed], "x", label=kind)
    over_time.set(xlabel="due after, s", ylabel="client's latency, ms", yscale="log")
    for where, ms in run.latencies.items():
        share = 100 * (1 - np.arange(1, len(ms) + 1) / (len(ms) + 1))
        distribution.plot(share, np.sort(ms), label=where)
    distribution.set(xlabel="slower than this, % of requests", ylabel="latency, ms")
    distribution.set(xscale="log", yscale="log")
    distribution.invert_xaxis()
    for axis in (over_time.yaxis, distribution.xaxis, distribution.yaxis):
        axis.set_major_formatter("{x:g}")
    for part in (over_time, distribution):
        part.grid(alpha=0.3)
        if part.get_legend_handles_labels()[0]:
            part.legend()
    figure.suptitle(run.summary, fontsize=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
