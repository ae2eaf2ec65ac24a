"""Evidently as a peer, in an environment of its own, by the same lock as far as it goes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.child import peak_gib
from benchmarks.harness.peer_process import Peer, environment, peer_process
from lab.settings import settings

VERSION = "0.7.23"
SIDE = Path(__file__).with_name("evidently_side.py")


@dataclass(frozen=True)
class Answer:
    """Time of one report, and its result for each feature."""

    seconds: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Evidently:
    """A running process that has both windows in memory."""

    peer: Peer

    def report(self, statistic: str) -> Answer:
        """Run a report of one statistic over all features."""
        return Answer(**self.peer.query(statistic))

    def peak_gib(self) -> float:
        """Return the process's peak so far."""
        return peak_gib(self.peer.process.pid)


@contextmanager
def evidently(folder: Path) -> Iterator[Evidently]:
    """Start Evidently with the windows of `folder`, and end it afterwards."""
    lock = settings.root / "requirements.txt"
    python = environment("evidently", VERSION, "--constraint", str(lock))
    with peer_process(python, SIDE, str(folder)) as peer:
        yield Evidently(peer)
