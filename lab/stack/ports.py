"""Who has which port."""

import random
import socket
from collections.abc import Mapping

import psutil

from lab.errors import UserError
from lab.settings import settings


def require_free_ports(service: str, host: str, ports: Mapping[str, int]) -> None:
    """`ports` by their name in the settings."""
    for field, port in ports.items():
        if is_taken(host, port):
            raise UserError(
                f"{service} cannot have port {port}: {holder(port)} listens on {host}:{port}",
                f"stop it, or `export LAB_{field.upper()}={next_free(host, ports, port)}`;"
                " then repeat the command",
            )


def is_taken(host: str, port: int) -> bool:
    """Whether someone listens there."""
    with socket.socket() as probe:
        probe.settimeout(settings.socket_timeout_s)
        return probe.connect_ex((host, port)) == 0


def listener(port: int) -> psutil.Process | None:
    """Who listens on a port, if this user may know."""
    try:
        pids = [
            found.pid
            for found in psutil.net_connections(kind="tcp")
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
        ]
        return psutil.Process(pids[0]) if pids else None
    except psutil.Error:
        return None


def holder(port: int) -> str:
    """The program that listens on a port, for a message."""
    process = listener(port)
    return f"{process.name()} (pid {process.pid})" if process else "another process"


def next_free(host: str, ports: Mapping[str, int], port: int) -> int:
    """The next higher port that nobody listens on and that is not one of `ports`."""
    higher = (other for other in range(port + 1, 65_536) if other not in ports.values())
    return next(other for other in higher if not is_taken(host, other))


def free_port() -> int:
    """A port for a private server, outside the range of the system's outgoing connections."""
    candidates = random.SystemRandom().sample(range(*settings.private_ports), k=100)
    return next(port for port in candidates if not is_taken(settings.host, port))
