"""Redis servers that lab.stack does not start: with TLS and users, and as a cluster."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import redis

from lab.stack.ports import free_port
from tests.waiting import eventually

PASSWORDS = {"app": "se,cret/%", "digits": "007"}
PERMISSIONS = "+@read +@write +@keyspace +@connection +@scripting -@dangerous"  # all that is needed


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that signs itself, and its key."""
    certificate, key = folder / "redis.crt", folder / "redis.key"
    files = ["-out", str(certificate), "-keyout", str(key)]
    name = ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *name]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@contextmanager
def redis_process(folder: Path, options: Sequence[str], client: redis.Redis) -> Iterator[None]:
    """Run redis-server until the block ends; it has started once `client` gets an answer."""
    command = ["redis-server", *options, "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: process.poll() is not None or _answers(client))
        assert process.poll() is None, f"redis-server has ended with {process.returncode}"
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def secure_redis(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a Redis with TLS and PASSWORDS, for users who may not administer it.

    Yields its port and its certificate.
    """
    certificate, key = make_certificate(folder)
    port = free_port()
    flags = {"tls-port": port, "tls-cert-file": certificate, "tls-key-file": key}
    flags |= {"port": 0, "tls-ca-cert-file": certificate, "tls-auth-clients": "no"}
    options = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    for user, password in PASSWORDS.items():
        options += ["--user", user, "on", f">{password}", "~*", *PERMISSIONS.split()]
    login = {"username": "app", "password": PASSWORDS["app"]}
    client = redis.Redis(port=port, ssl=True, ssl_ca_certs=str(certificate), **login)
    with redis_process(folder, [*options, "--requirepass", "unknown"], client):
        yield port, certificate


@contextmanager
def redis_cluster(folder: Path, masters: int = 3) -> Iterator[list[int]]:
    """Run a Redis Cluster without replicas; yields the ports of its masters."""
    ports = [free_port() for _ in range(masters)]
    with ExitStack() as running:
        for port in ports:
            (own := folder / str(port)).mkdir()
            bus = ["--cluster-port", str(free_port())]
            options = ["--port", str(port), "--cluster-enabled", "yes", *bus]
            running.enter_context(redis_process(own, options, redis.Redis(port=port)))
        nodes = [f"127.0.0.1:{port}" for port in ports]
        command = ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"]
        subprocess.run(command, check=True, capture_output=True)
        for port in ports:
            eventually(partial(_is_whole, redis.Redis(port=port)))
        yield ports


def move_slots(source: int, target: int, count: int) -> None:
    """Move slots of a cluster, with their keys, from one port's node to another's."""
    ids = [redis.Redis(port=port).execute_command("CLUSTER MYID") for port in (source, target)]
    names = [name.decode() for name in ids]
    options = ["--cluster-from", names[0], "--cluster-to", names[1], "--cluster-slots", str(count)]
    command = ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{source}", *options]
    subprocess.run([*command, "--cluster-yes"], check=True, capture_output=True)


@contextmanager
def redis_sentinel(folder: Path) -> Iterator[int]:
    """Run a Redis and a Sentinel that knows it as `shop`; yields the Sentinel's port."""
    master, port = free_port(), free_port()
    file = folder / "sentinel.conf"
    file.write_text(f"port {port}\nsentinel monitor shop 127.0.0.1 {master} 1\n")
    with (
        redis_process(folder, ["--port", str(master)], redis.Redis(port=master)),
        redis_process(folder, [str(file), "--sentinel"], redis.Redis(port=port)),
    ):
        yield port


def _is_whole(client: redis.Redis) -> bool:
    state: dict[str, str] = client.execute_command("CLUSTER INFO")
    return state["cluster_state"] == "ok"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
