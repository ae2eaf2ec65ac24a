"""Exercise 4: how long /predict takes under load."""


def load_test(num_requests: int = 1000, concurrency: int = 50) -> None:
    """Send requests, and print the mean, the median, and the 95th and 99th percentile, in ms."""
    # TODO 1: measure from the moment a request was due, and count errors as failures.
    raise NotImplementedError
