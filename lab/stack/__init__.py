"""Redis and Kafka on this machine: `up`, `down`, `running`, `status`."""

from lab.stack.control import ServiceStatus, down, running, status, up

__all__ = ["ServiceStatus", "down", "running", "status", "up"]
