"""A Flink cluster on this machine, until Ctrl-C: `python -m lab.stack.flink`."""

import signal
from threading import Event

from lab.errors import run_script
from lab.settings import settings
from lab.stack.flink.cluster import FlinkCluster


def main() -> None:
    stop = Event()
    cluster = FlinkCluster(settings)
    with cluster.running():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        address = cluster.job_manager.address
        print(f"{len(cluster.task_managers)} TaskManagers, http://{address}; Ctrl-C ends it")
        stop.wait()


if __name__ == "__main__":
    run_script(main)
