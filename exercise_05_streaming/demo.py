"""Start the job, send payments, compare with the log, show a user: `lab run 5`."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice

from exercise_05_streaming.produce_events import generate, generate_transaction_event, send
from exercise_05_streaming.topics import available_services, create_topics
from exercise_05_streaming.verify import differences, stored_features
from exercise_05_streaming.windows import METRICS, WINDOWS
from lab.learn import UserError, run_script, settings

JOB = "exercise_05_streaming.flink_streaming_features"
LOG = settings.build_dir / "flink" / "job.log"
TIMEOUT_S = 120


def wait_until(condition: Callable[[], bool], job: "subprocess.Popen[bytes]") -> float:
    """Return the seconds until a condition holds. Raises UserError after two minutes."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > TIMEOUT_S or job.poll() is not None:
            raise UserError("The job failed or is too slow", f"less {LOG}")
        time.sleep(0.1)
    return time.monotonic() - start


@available_services()
def main(*command: str, compare: Callable[[], list[str]] = differences) -> None:
    """Run the exercise in about a minute; `command` is the job's module and its options."""
    create_topics()
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        job = subprocess.Popen([sys.executable, "-m", *(command or [JOB])], stdout=log, stderr=log)
    try:
        count = send(islice(generate(200, 50, 0.1, 0, 0.02), 2_000))
        print(f"Sent {count:,} payments: 10 % of them late, 2 % malformed")
        wait_until(lambda: not compare(), job)
        print("Every feature equals a recomputation of the log")
        user = f"user_of_{time.time_ns()}"
        send([(user, json.dumps(generate_transaction_event() | {"user_id": user}))])
        seconds = wait_until(lambda: stored_features([user])["transaction_count_1h"][0] == 1, job)
        print(f"A new user's payment was readable by Feast after {seconds:.1f} s")
        values = stored_features(["user_1"]).row(0, named=True)
        print(f"{'user_1':<20}", *(f"{window:>12}" for window in WINDOWS))
        for metric in METRICS:
            print(f"{metric:<20}", *(f"{values[f'{metric}_{w}'] or 0:>12,.2f}" for w in WINDOWS))
    finally:
        job.terminate()
        job.wait(TIMEOUT_S)


if __name__ == "__main__":
    run_script(main)
