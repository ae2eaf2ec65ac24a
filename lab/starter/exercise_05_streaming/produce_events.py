"""Exercise 5: events to try the job with."""

from typing import Any


def generate_transaction_event() -> dict[str, Any]:
    """A payment: user_id, merchant_id, amount, is_approved, event_time (ISO 8601, UTC)."""
    # TODO 1
    raise NotImplementedError


def main() -> None:
    """Send ten events a second to the topic `transactions`."""
    # TODO 2: the key is the user, so that a user's events stay in order.
    raise NotImplementedError
