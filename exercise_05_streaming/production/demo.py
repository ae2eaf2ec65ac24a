"""Exercise 5 in a minute: start the job, send payments, recount everyone, show a user, stop.

Run it with `lab run 5`. The job itself goes on until it is stopped:
`python -m exercise_05_streaming.production.flink_streaming_features`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event

from rich import box
from rich.console import Console
from rich.table import Table

from exercise_05_streaming.production.delivery import Delivery
from exercise_05_streaming.production.events import (
    Record,
    Traffic,
    iso,
    key_of,
    milliseconds,
    packed,
    records,
)
from exercise_05_streaming.production.produce_events import at_rate, deliver
from exercise_05_streaming.production.topics import bootstrap, create_topics
from exercise_05_streaming.production.verification import differences, stored_features
from lab.errors import UserError, run_script
from lab.figures import record
from lab.settings import settings, utc_now

JOB = "exercise_05_streaming.production.flink_streaming_features"
LOG = settings.build_dir / "flink" / "job.log"
RATE, SECONDS = 200, 10
TRAFFIC = Traffic(users=50, late=0.1, duplicates=0.05, malformed=0.02)
WINDOWS = ("5m", "1h", "24h", "session")
WHATS = ("transaction_count", "total_amount", "avg_amount", "max_amount", "declined_count")
PATIENCE_S = 120
POLL_S = 0.05

console = Console(highlight=False)


@contextmanager
def running_job() -> Iterator[None]:
    """The job as its own process; at the end it is stopped with a savepoint."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as output:
        job = subprocess.Popen([sys.executable, "-m", JOB], stdout=output, stderr=subprocess.STDOUT)
    try:
        await_that(lambda: " runs; " in LOG.read_text() or job.poll() is not None, "did not start")
        yield
    finally:
        job.terminate()
        if job.wait(settings.flink_stop_timeout_s) != 0:
            raise UserError("the streaming job failed", f"less {LOG}")
    console.print("  stopped with a savepoint, from which it goes on the next time")


def await_that(condition: Callable[[], bool], fate: str) -> float:
    """Wait until it holds; the seconds that took. UserError when it is late."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE_S:
            raise UserError(f"the streaming job {fate} within {PATIENCE_S} s", f"less {LOG}")
        time.sleep(POLL_S)
    return time.monotonic() - begun


def seconds_until_readable(delivery: Delivery) -> float:
    """From sending a new user's payment to reading their features."""
    now = utc_now()
    user = f"user_of_{iso(now)}"
    event: dict[str, object] = {"user_id": user, "merchant_id": "merchant_1", "amount": 99.5}
    event |= {"is_approved": True, "event_time": iso(now)}
    delivery.send(Record(key_of(event), packed(event), milliseconds(now)))
    delivery.finish()
    return await_that(lambda: bool(stored_features([user])[user]), "wrote no features")


def show_features(user: str) -> None:
    """A user's features as they are in Redis now."""
    features = stored_features([user])[user]
    table = Table(*("", *WINDOWS), box=box.SIMPLE, title=f"{user}, now", title_justify="left")
    for what in WHATS:
        values = [features.get(f"{what}_{window}") for window in WINDOWS]
        table.add_row(what, *("" if value is None else f"{value:,.6g}" for value in values))
    console.print(table)


def main() -> None:
    console.print(f"Exercise 5: streaming features, Kafka at {bootstrap()}")
    create_topics()
    delivery = Delivery(bootstrap(), settings.transactions_topic)
    with running_job():
        deliver(islice(at_rate(records(TRAFFIC), RATE, Event()), RATE * SECONDS), delivery)
        console.print(f"  {delivery.delivered:,} payments sent: late, doubled, malformed ones too")
        await_that(lambda: not differences(), "and a recount do not agree")
        console.print("  every tile and every feature is as a recount of the log says")
        show_features("user_0")
        fresh = seconds_until_readable(delivery)
        record("streaming_freshness_s", fresh, "s")
        console.print(f"  a new user's payment could be read after {fresh:.1f} s")


if __name__ == "__main__":
    run_script(main)
