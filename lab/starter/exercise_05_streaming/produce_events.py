"""Send payments to the topic `transactions` until Ctrl-C."""

from collections.abc import Iterable
from typing import Any

from lab.learn import script


def generate_transaction_event(users: int = 100, late_by_s: float = 0) -> dict[str, Any]:
    """Return a payment of this moment, or of `late_by_s` before."""
    # TODO 1: user_id, merchant_id, amount, is_approved, event_time (ISO 8601, UTC).
    raise NotImplementedError


def send(records: Iterable[tuple[str, str]]) -> int:
    """Send records, wait until Kafka has stored them, and return their number."""
    # TODO 2: the key is the user, so the events of a user stay in order.
    raise NotImplementedError


@script
def main() -> None:
    """Send ten payments a second."""
    # TODO 3: call the functions.
    raise NotImplementedError
