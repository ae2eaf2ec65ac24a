"""What can go wrong with an online read; each message says what, where, and what next."""


class OnlineReadError(Exception):
    """Any error of the online reader."""


class UnknownService(OnlineReadError):
    """The registry has no feature service of this name."""


class UnreadableService(OnlineReadError):
    """The service, or its store, asks for what the reader does not do."""


class RequestError(OnlineReadError, ValueError):
    """The rows of a request lack a column, are of unequal length, or hold a null join key."""


class RedisUnavailable(OnlineReadError):
    """Redis cannot be reached, or refuses."""


class RedisTimeout(RedisUnavailable):
    """Redis did not answer in time."""


class RegistryUnavailable(OnlineReadError):
    """The registry cannot be read."""
