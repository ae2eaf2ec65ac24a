"""A server that forks a child per connection, and limits the resources of all children together.

It has imported Feast once, so that a child starts in milliseconds rather than seconds. It holds
nothing secret.
"""

import importlib
import json
import os
import select
import signal
import socket
import sys
import time

from checker.sandbox.child import serve
from checker.sandbox.guard import Guard, end_others, keep_to_oneself, open_up, shared_memory_is_left

PRELOADED = (
    "pandas",
    "pyarrow.parquet",
    "feast",
    "feast.cli.cli",
    "feast.infra.offline_stores.duckdb",
    "feast.infra.offline_stores.dask",
    "feast.infra.registry.sql",
    "feast_plugins.redis_online_store",
    "lab",  # its modules are found by it, once a child has no finder of this installation
    "fastapi",
    "uvicorn",
    "joblib",
    "sklearn.pipeline",
    "checker.sandbox.probes",
)
SWEEP = b"sweep\n"
POLL_S, SLOW_POLL_S = 0.1, 1.0


def main() -> None:
    """Serve on the socket of the first argument, within the second's limits, until input closes."""
    preload()
    guard = Guard(**json.loads(sys.argv[2]))
    keep_to_oneself()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as server:
        print("ready", flush=True)
        poll_s = POLL_S if os.getpid() == 1 else SLOW_POLL_S
        next_look = 0.0
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [], poll_s)
            if sys.stdin in ready and not obey(os.read(0, len(SWEEP))):
                return
            excess = guard.excess()
            if time.monotonic() > next_look:
                next_look = time.monotonic() + SLOW_POLL_S
                excess = excess or guard.excess_on_disk()
            if excess:
                print(excess, flush=True)  # first: a parent that sees a child end reads the reason
                end_others()
            if server in ready:
                fork_for(server)


def obey(order: bytes) -> bool:
    """End all that submissions have started; False when this server has to end as well.

    It has when there are no orders any more, and when shared memory is in use: that goes with it.
    """
    if order != SWEEP:
        return False
    end_others()
    if os.getpid() == 1 and shared_memory_is_left():
        return False
    print("swept", flush=True)
    return True


def fork_for(server: socket.socket) -> None:
    """A child for the connection that waits."""
    connection, _ = server.accept()
    if os.fork() == 0:
        server.close()
        open_up()
        serve(connection)
        os._exit(0)
    connection.close()


def preload() -> None:
    """Import what takes long; of that, what Feast has set up for itself is forgotten again.

    Feast turns on the multiprocess mode of Prometheus's client, for every later import.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
        del sys.modules[name]


if __name__ == "__main__":
    main()
