"""Start and stop the services, and report their status."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from lab.errors import UserError
from lab.settings import Settings, settings
from lab.stack.compose import Container, is_chosen
from lab.stack.kafka import KafkaBroker
from lab.stack.lock import locked
from lab.stack.ports import is_taken
from lab.stack.preflight import explained_write_errors
from lab.stack.redis import RedisServer
from lab.stack.server import Server

State = Literal["up", "down", "foreign"]
SERVICES: dict[str, Callable[[Settings], Server]] = {"redis": RedisServer, "kafka": KafkaBroker}


@dataclass(frozen=True)
class ServiceStatus:
    """Status of one service. `foreign`: its port answers, but `up` did not start the process."""

    name: str
    state: State
    how: Literal["compose", "process", "yours"] | None
    address: str


def up(services: Sequence[str], config: Settings = settings) -> None:
    """Start the named services and wait until they answer; running ones stay as they are.

    Raises UserError; the services that this call started are then stopped again.
    """
    wanted = [_service(name, config) for name in services]
    with _alone(config), ExitStack() as undo:
        for service in wanted:
            if not service.is_the_users and not _is_up(service):
                form = Container(service) if is_chosen(config) else service
                form.start()
                undo.callback(form.stop)
            service.require_version()
        undo.pop_all()


def down(config: Settings = settings) -> None:
    """Stop the services that `up` started, and nothing else; the data stay. Raises UserError."""
    with _alone(config):
        for name in reversed(SERVICES):
            service = _service(name, config)
            service.stop()
            Container(service).stop()


def status(config: Settings = settings) -> list[ServiceStatus]:
    """Return the status of each service."""
    return [_status_of(_service(name, config)) for name in SERVICES]


def running(config: Settings = settings) -> list[Server]:
    """Return the services that answer now and that `up` started or the user runs."""
    named = [_service(name, config) for name in SERVICES]
    started = [form.as_started() for service in named for form in _running_forms(service)]
    users = [service for service in named if service.is_the_users]
    return [service for service in (*started, *users) if service.answers()]


@contextmanager
def _alone(config: Settings) -> Iterator[None]:
    with (
        explained_write_errors(config.stack_dir),
        locked(config.stack_dir, timeout_s=config.stack_timeout_s),
    ):
        yield


def _service(name: str, config: Settings) -> Server:
    if name not in SERVICES:
        known = ", ".join(SERVICES)
        raise UserError(f"there is no service named {name}", f"choose from: {known}")
    return SERVICES[name](config)


def _is_up(service: Server) -> bool:
    """Adopt a service that runs from an earlier `up`; end a half-started one."""
    for form in _running_forms(service):
        address = form.as_started().address
        if address != service.address:
            raise UserError(
                f"{service.name} already runs at {address}, not at {service.address}",
                "lab down; then repeat the command",
            )
        if service.answers_in_time(form.is_running):
            return True
        form.stop()
    return False


def _running_forms(service: Server) -> list[Server | Container]:
    forms: list[Server | Container] = [service, Container(service)]
    return [form for form in forms if form.is_running()]


def _status_of(service: Server) -> ServiceStatus:
    for form in _running_forms(service):
        started = form.as_started()
        state: State = "up" if started.answers() else "down"
        return ServiceStatus(service.name, state, form.how, started.address)
    if service.is_the_users:
        state = "up" if service.version() else "down"
        return ServiceStatus(service.name, state, "yours", service.address)
    state = "foreign" if is_taken(service.config.host, service.port) else "down"
    return ServiceStatus(service.name, state, None, service.address)
