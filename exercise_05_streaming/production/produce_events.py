"""Produces the events that the streaming features are made of, until Ctrl-C.

    python -m exercise_05_streaming.production.produce_events --rate 100
    python -m exercise_05_streaming.production.produce_events --late 0.1 --duplicates 0.05
    python -m exercise_05_streaming.production.produce_events --replay --speed 1000

Drawn events happen as they are sent. A replay sends the raw transactions: event and record have the
time at which the transaction was made, and the ids it had, so a second replay adds nothing.
"""

import signal
import time
from collections.abc import Iterator
from itertools import islice
from math import inf
from threading import Event, Timer
from typing import Annotated

import typer
from rich.console import Console

from exercise_05_streaming.production.delivery import Delivery
from exercise_05_streaming.production.event_replay import raw_transactions
from exercise_05_streaming.production.events import Record, Traffic, records
from lab.errors import run_script
from lab.settings import settings

PROGRESS_S = 2
DRAWN = Traffic(run="")
BOOTSTRAP = settings.kafka_address

console = Console(highlight=False)


def at_rate(source: Iterator[Record], rate: float, stop: Event) -> Iterator[Record]:
    """`rate` records a second, each drawn at its moment."""
    began, number = time.monotonic(), 0
    while not stop.wait(max(began + number / rate - time.monotonic(), 0)):
        yield next(source)
        number += 1


def at_speed(source: Iterator[Record], speed: float, stop: Event) -> Iterator[Record]:
    """The records as far apart as they happened, `speed` times as fast."""
    began, first_ms = time.monotonic(), None
    for record in source:
        first_ms = record.timestamp_ms if first_ms is None else first_ms
        due = began + (record.timestamp_ms - first_ms) / 1_000 / speed
        if stop.wait(max(due - time.monotonic(), 0)):
            return
        yield record


def deliver(source: Iterator[Record], delivery: Delivery) -> None:
    """Send every record, and say from time to time how far it is."""
    began = said = time.monotonic()
    try:
        for record in source:
            delivery.send(record)
            if time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                rate = delivery.delivered / (said - began)
                console.print(f"  {delivery.delivered:,} delivered, {rate:,.0f}/s")
    finally:
        delivery.finish()


def ended_by_signals() -> Event:
    """Set at the first Ctrl-C or SIGTERM; a second one ends the process at once."""
    stop = Event()

    def end(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


def end_after(seconds: float | None, stop: Event) -> None:
    """Set `stop` in time; without a time it is left to Ctrl-C."""
    if seconds is not None:
        timer = Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()


def main(
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0: all it can")] = 10,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so long")] = None,
    users: Annotated[int, typer.Option(min=1)] = DRAWN.users,
    skew: Annotated[float, typer.Option(min=0, help="0: all users alike")] = DRAWN.skew,
    late: Annotated[float, typer.Option(help="Share of late events")] = DRAWN.late,
    late_by: Annotated[float, typer.Option(help="At most so many seconds")] = DRAWN.late_by_s,
    duplicates: Annotated[float, typer.Option(help="Share sent again")] = DRAWN.duplicates,
    malformed: Annotated[float, typer.Option(help="Share that is malformed")] = DRAWN.malformed,
    seed: Annotated[int, typer.Option(help="Which events are drawn")] = DRAWN.seed,
    replay: Annotated[bool, typer.Option("--replay", help="Send the raw transactions")] = False,
    speed: Annotated[float, typer.Option(min=0, help="Of a replay; 0: all it can")] = 0,
) -> None:
    """Send events to the topic `transactions`, drawn or replayed, until Ctrl-C."""
    stop = ended_by_signals()
    end_after(seconds, stop)
    if replay:
        source = at_speed(raw_transactions(), speed or inf, stop)
    else:
        traffic = Traffic(
            users=users,
            skew=skew,
            late=late,
            late_by_s=late_by,
            duplicates=duplicates,
            malformed=malformed,
            seed=seed,
        )
        source = at_rate(records(traffic), rate or inf, stop)
    delivery = Delivery(BOOTSTRAP, settings.transactions_topic)
    console.print(f"Producing to {settings.transactions_topic} at {BOOTSTRAP}; Ctrl-C ends it")
    deliver(islice(source, count), delivery)
    console.print(f"{delivery.delivered:,} of {delivery.sent:,} events delivered")


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
