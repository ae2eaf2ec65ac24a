"""Errors of an online read; each message names what failed, where, and the next step."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty

import hiredis
import redis
from redis.exceptions import RedisClusterException

REDIS_ERRORS = (OSError, ValueError, hiredis.HiredisError, redis.RedisError, RedisClusterException)


class OnlineReadError(Exception):
    """Any error of the online reader."""


class UnknownService(OnlineReadError):
    """The registry has no feature service of this name."""


class UnreadableService(OnlineReadError):
    """The service, or its store, needs a feature that the reader does not support."""


class RequestError(OnlineReadError, ValueError):
    """The rows of a request lack a column, are of unequal length, or hold a null join key."""


class RedisUnavailable(OnlineReadError):
    """Redis cannot be reached, or rejects a command."""


class RedisTimeout(RedisUnavailable):
    """Redis did not answer in time."""


class RegistryUnavailable(OnlineReadError):
    """The registry cannot be read."""


@contextmanager
def explained(place: str, timeout_s: float) -> Iterator[None]:
    """Translate an error of a read into one sentence. Raises RedisTimeout, RedisUnavailable."""
    try:
        yield
    except (TimeoutError, Empty, redis.TimeoutError) as error:
        raise RedisTimeout(f"{place} did not answer within {timeout_s:g} s") from error
    except REDIS_ERRORS as error:
        raise RedisUnavailable(f"{place} cannot be read: {error}") from error
