"""Ports: which process listens on a port, and which ports are free."""

import random
import socket
from collections.abc import Mapping

import psutil

from lab.errors import UserError
from lab.settings import settings

PRIVATE_PORTS = range(20_000, 32_000)  # outside the system's range of outgoing connections


def require_free_ports(service: str, host: str, ports: Mapping[str, int]) -> None:
    """Raise UserError if a process listens on one of `ports`, by their name in the settings."""
    for field, port in ports.items():
        if is_taken(host, port):
            raise UserError(
                f"{service} cannot have port {port}: {holder(port)} listens on {host}:{port}",
                f"stop it, or `export LAB_{field.upper()}={next_free(host, ports, port)}`;"
                " then repeat the command",
            )


def is_taken(host: str, port: int) -> bool:
    """Return True if a process listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(settings.socket_timeout_s)
        return probe.connect_ex((host, port)) == 0


def listener(port: int) -> psutil.Process | None:
    """Return the process that listens on a port, if this user may see it."""
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
    """Return the program that listens on a port, for a message."""
    process = listener(port)
    return f"{process.name()} (pid {process.pid})" if process else "another process"


def next_free(host: str, ports: Mapping[str, int], port: int) -> int:
    """Return the next higher free port that is not one of `ports`."""
    higher = (other for other in range(port + 1, 65_536) if other not in ports.values())
    return next(other for other in higher if not is_taken(host, other))


def free_port() -> int:
    """Return a port for a private server."""
    candidates = random.SystemRandom().sample(PRIVATE_PORTS, k=100)
    return next(port for port in candidates if not is_taken(settings.host, port))
