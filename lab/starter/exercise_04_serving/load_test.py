"""Load test of the serving API: what its clients experience."""

from typing import Any

from lab.learn import script


async def send_request(payment: dict[str, Any], scheduled: float) -> tuple[float, str]:
    """Send a payment when `scheduled`; return the ms since then and the outcome."""
    # TODO 1: an error is an outcome, too, not a good latency.
    raise NotImplementedError


async def load_test(payments: list[dict[str, Any]], rate: float) -> None:
    """Send `rate` payments a second; print the median and the 95th and 99th percentile in ms."""
    # TODO 2: do not wait for a response before the next request is sent.
    raise NotImplementedError


@script
def main() -> None:
    """Call load_test with the payments of real users and merchants."""
    # TODO 3: asyncio.run.
    raise NotImplementedError
