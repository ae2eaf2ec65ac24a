"""A service of the stack: a server on the loopback interface, run as a process."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

from lab.errors import UserError
from lab.settings import Settings
from lab.stack import process
from lab.stack.ports import require_free_ports
from lab.stack.preflight import require_disk_space

POLL_S = 0.05


class Service(ABC):
    """A service with a folder of its own for its data, its log and its pid file."""

    name: ClassVar[str]
    how: Final = "process"

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.directory: Path = config.stack_dir.resolve() / self.name
        self.log = self.directory / f"{self.name}.log"
        self.pid_file = process.PidFile(self.directory / f"{self.name}.pid")

    @property
    @abstractmethod
    def ports(self) -> Mapping[str, int]:
        """Return its ports by their name in the settings, the clients' one first."""

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Prepare everything that the program needs; return the command that runs it."""

    @abstractmethod
    def answers(self) -> bool:
        """Return True if it serves requests now; bounded."""

    def clear(self) -> str:
        """Delete all stored data of clients; return how much in words, '' if there was nothing."""
        return ""

    def require_free_ports(self, ports: Mapping[str, int]) -> None:
        """Raise UserError where another process listens on one of `ports`."""
        require_free_ports(self.name, self.config.host, ports)

    @property
    def port(self) -> int:
        """Return the port for clients."""
        return next(iter(self.ports.values()))

    @property
    def address(self) -> str:
        """Return host and port for clients."""
        return f"{self.config.host}:{self.port}"

    def at(self, port: int) -> Self:
        """Return the same service at another port."""
        return type(self)(self.config.model_copy(update={next(iter(self.ports)): port}))

    def as_started(self) -> Self:
        """Return the service at the port that it was started with."""
        return self.at(self.pid_file.port())

    def is_running(self) -> bool:
        """Return True if a process started here lives."""
        found = self.pid_file.process()
        return found is not None and process.is_alive(found)

    def start(self) -> None:
        """Start it and wait until it answers. Raises UserError, and then nothing is left."""
        self.require_free_ports(self.ports)
        self.directory.mkdir(parents=True, exist_ok=True)
        require_disk_space(self.config)
        started = process.spawn(self.prepare(), self.pid_file, self.port, self.log)
        try:
            if not self.answers_in_time(lambda: process.is_alive(started)):
                raise self.no_answer(is_alive=process.is_alive(started))
        except BaseException:
            process.end(started, self.config.stack_timeout_s)
            self.pid_file.remove()
            raise

    def stop(self) -> None:
        """End the process that was started here, if there is one."""
        found = self.pid_file.process()
        if found is not None:
            process.end(found, self.config.stack_timeout_s)
        self.pid_file.remove()

    def answers_in_time(self, is_alive: Callable[[], bool]) -> bool:
        """Wait until it answers; return False when it is dead, or after `stack_timeout_s`."""
        deadline = time.monotonic() + self.config.stack_timeout_s
        while is_alive() and time.monotonic() < deadline:
            if self.answers():
                return True
            time.sleep(POLL_S)
        return False

    def no_answer(self, *, is_alive: bool) -> UserError:
        """Return the error of a service that did not come up, with the end of its log."""
        late = f"did not answer on {self.address} within {self.config.stack_timeout_s:g} s"
        fate = late if is_alive else "died while starting"
        return UserError(
            f"{self.name} {fate}; {end_of(self.log)}",
            f"`less {self.log}` for the cause; then repeat the command",
        )


def end_of(log: Path, count: int = 5) -> str:
    """Return a log's path and last lines, for an error, without Java's stack."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = [line for line in lines if line and not line.startswith("\tat ")][-count:]
    return "\n    ".join([f"the end of {log}:", *(shown or ["(empty)"])])
