"""Keep a plan up to date with a registry, in a thread of its own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event, Lock, Thread

from feast_plugins.read_plan import ReadPlan
from feast_plugins.service_definition import ServiceDefinition

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchState:
    """State of a plan relative to its registry; `checked_at` is when the registry was last read."""

    plans: int
    checked_at: datetime
    failed_checks: int = 0
    last_error: str | None = None


class RegistryWatch:
    """The newest plan of a service; a registry that cannot be read leaves the plan as it is."""

    def __init__(
        self,
        load: Callable[[], ServiceDefinition],
        compile_plan: Callable[[ServiceDefinition], ReadPlan],
        refresh_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self._load, self._compile, self._now = load, compile_plan, now
        definition = load()
        self.plan = compile_plan(definition)
        self.state = WatchState(plans=1, checked_at=now())
        self._fingerprint = definition.fingerprint
        self._one_at_a_time = Lock()
        self._closed = Event()
        Thread(target=self._watch, args=[refresh_s], name="registry-watch", daemon=True).start()

    def check(self) -> bool:
        """Read the registry now; return True if it gave another plan."""
        with self._one_at_a_time:
            try:
                definition = self._load()
                is_new = definition.fingerprint != self._fingerprint
                if is_new:
                    self.plan = self._compile(definition)
                    self._fingerprint = definition.fingerprint
            except Exception as error:  # noqa: BLE001 - whatever it is, the old plan still reads
                log.warning("the plan in use stays: %s", error)
                failures = self.state.failed_checks + 1
                self.state = replace(self.state, failed_checks=failures, last_error=str(error))
                return False
            plans = self.state.plans + is_new
            checked_at = self._now()
            self.state = replace(self.state, plans=plans, checked_at=checked_at, last_error=None)
            return is_new

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _watch(self, refresh_s: float) -> None:
        while not self._closed.wait(refresh_s):
            self.check()
