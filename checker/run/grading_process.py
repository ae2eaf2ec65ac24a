"""The parent's side of a grading process, which may die or hang; its results so far are stored."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from checker.sandbox.folders import remove
from checker.sandbox.forking import with_descendants
from checker.sandbox.isolation import offline
from checker.sandbox.sandbox import end_left_behind
from checker.settings import CheckerSettings
from checker.verdict.brief import BY_ID
from checker.verdict.outcome import Status
from checker.verdict.provenance import provenance, thresholds
from checker.verdict.results import Result, Scorecard
from lab.errors import UserError

MARGIN_S = 120  # to start in, and for the criterion that runs when a submission's time is up
END_S = 30
PORTS = re.compile(r"LAB_(\w+_PORT|REDIS_URL|KAFKA_BOOTSTRAP)")


class GradingProcess:
    """One process that grades; it is started when it is needed, and restarted after it died."""

    def __init__(self, seed: int, log: Path, config: CheckerSettings) -> None:
        self._seed = seed
        self._log = log
        self._config = config
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path()

    def grade(
        self, folder: Path, ids: Sequence[str], on_result: Callable[[Result], None]
    ) -> Scorecard:
        """The scorecard of a submission; criteria without a verdict are our error.

        Raises UserError when it cannot be graded at all.
        """
        process = self._running()
        results: list[Result] = []
        limit_s = self._config.submission_limit_s + self._config.criterion_limit_s + MARGIN_S
        timer = threading.Timer(limit_s, self.kill)
        timer.start()
        try:
            for message in _answers(process, {"folder": str(folder), "ids": list(ids)}):
                if "refused" in message:
                    raise UserError(message["refused"])
                if "card" in message:
                    return Scorecard.from_dict(message["card"])
                results.append(Result.from_dict(message["result"]))
                on_result(results[-1])
        finally:
            timer.cancel()
        self.kill()
        return self._unfinished(folder, ids, results)

    @property
    def pid(self) -> int | None:
        """The process that grades now, if there is one."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """Let it end by itself, its services with it; kill it when it does not."""
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.kill()

    def kill(self) -> None:
        """End it and all that it started, in whatever session, and remove its files."""
        process, self._process, folder = self._process, None, self._folder
        if process is None:
            return
        _end(with_descendants(process.pid))
        process.wait()
        end_left_behind(folder, self._config)
        _end(_working_in(folder))
        remove(folder)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self._folder = Path(tempfile.mkdtemp(prefix="lab-grading-"))
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    offline([sys.executable, "-m", "checker.run.worker"], self._config),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=environment(os.environ, self._config),
                )
            _send(self._process, {"seed": self._seed, "within": str(self._folder)})
        return self._process

    def _unfinished(self, folder: Path, ids: Sequence[str], results: Sequence[Result]) -> Scorecard:
        graded = {result.criterion.id for result in results}
        message = f"the grading process ended before its verdict; see {self._log}"
        weights = self._config.weights
        missing = [
            Result(BY_ID[i], Status.ERROR, message=message, weight=weights.get(i, 1.0))
            for i in ids
            if i not in graded
        ]
        made_with = provenance(self._config, folder)
        return Scorecard(folder.name, self._seed, [*results, *missing], made_with)


def _end(found: Sequence[psutil.Process]) -> None:
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, END_S)


def _working_in(folder: Path) -> list[psutil.Process]:
    """A submission's programs that have lost the process that graded."""
    running = psutil.process_iter(["cwd"])
    return [p for p in running if (p.info["cwd"] or "").startswith(f"{folder}{os.sep}")]


def _answers(process: subprocess.Popen[str], job: Mapping[str, Any]) -> Any:
    """Its lines, until it closes them."""
    assert process.stdout is not None
    _send(process, job)
    for line in process.stdout:
        yield json.loads(line)


def _send(process: subprocess.Popen[str], what: Any) -> None:
    """Send it a line; that it has ended is seen by who reads."""
    assert process.stdin is not None
    with suppress(OSError):
        print(json.dumps(what), file=process.stdin, flush=True)


def environment(own: Mapping[str, str], config: CheckerSettings) -> dict[str, str]:
    """The instructor's environment without their ports, with the limits and the isolation in force.

    The services of a sandbox have the usual ports, which the code of submissions may name.
    """
    inherited = {name: value for name, value in own.items() if not PORTS.fullmatch(name)}
    limits = {
        f"LAB_{name.upper()}": json.dumps(limit) for name, limit in thresholds(config).items()
    }
    extra = {"LAB_EXTRA_PACKAGES": str(p)} if (p := config.extra_packages) else {}
    return {**inherited, **limits, **extra, "LAB_ISOLATION": config.isolation}
