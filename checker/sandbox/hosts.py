"""The names under which a Compose file has its services: each is the loopback address here."""

from pathlib import Path

HOSTS = Path("/etc/hosts")
SERVICES = ("localhost", "redis", "kafka", "broker")


def hosts_file(folder: Path) -> Path:
    """Write a file to stand for /etc/hosts: those names first, then what the machine knows."""
    file = folder / "hosts"
    known = HOSTS.read_text() if HOSTS.exists() else ""
    file.write_text(f"127.0.0.1 {' '.join(SERVICES)}\n{known}")
    return file
