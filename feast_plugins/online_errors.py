"""Errors of an online read; each message names what failed, where, and the next step."""


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
