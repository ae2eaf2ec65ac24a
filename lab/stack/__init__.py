"""Redis and Kafka on this machine: `up`, `down`, `status`."""

from lab.stack.control import ServiceStatus, down, status, up

__all__ = ["ServiceStatus", "down", "status", "up"]
