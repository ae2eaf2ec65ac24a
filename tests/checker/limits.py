"""Lower limits, under which the tests grade."""

from typing import Any

LOWERED: dict[str, Any] = {
    "hidden_transactions": 4_000,
    "materialize_entities": 5_000,
    "materialize_limit_s": 60,
    "call_timeout_s": 180,
    "online_reads": 100,
    "online_read_p95_ms": 40,
    "serving_start_s": 60,
    "serving_pairs": 60,
    "serving_p95_ms": 100,  # another worker may load the machine
    "serving_load_s": 1,
    "serving_connections": 200,
    "serving_connections_s": 30,
    "streaming_alive_s": 5,
    "streaming_events": 4_000,
    "streaming_users": 100,
    "streaming_after_window_s": -300,  # the tests do not wait for results at a window's end
}
