"""Exercise 5: streaming features with Kafka and Flink SQL.

The grader starts this script and lets it run. It kills it once, and starts it again. The ports of
Kafka and Redis, and the folder of Flink's jars, are in `lab.learn.settings`.
"""

from pyflink.table import Table, TableEnvironment

from lab.learn import script


def create_environment(options: dict[str, str]) -> TableEnvironment:
    """Return a streaming TableEnvironment; its Flink runs inside a JVM of this process."""
    # TODO 1: pipeline.jars, checkpoints in a folder, as many slots as the topic has partitions.
    raise NotImplementedError


def define_source(t_env: TableEnvironment, startup: str, more_columns: str = "") -> None:
    """Create the table of the topic `transactions`."""
    # TODO 2: does a job that starts again read from "latest-offset" or "earliest-offset"?
    raise NotImplementedError


def define_windows(t_env: TableEnvironment, size: int, slide: int, gap: int, delay: int) -> Table:
    """Return the query of TUMBLE, HOP and SESSION windows; lengths in seconds. Not graded."""
    # TODO 3: a watermark on the time of the event. When does a window of five minutes appear?
    raise NotImplementedError


def compute_features(t_env: TableEnvironment) -> None:
    """Create the view of counts and amounts of each user's five minutes."""
    # TODO 4: within ten seconds of an event; submission.toml declares how late one may be.
    raise NotImplementedError


def write_to_redis(t_env: TableEnvironment) -> None:
    """Start the job, and write features until it ends, so that Feast and the API read them."""
    # TODO 5: Flink has no Redis connector. A replay after a restart must not count twice.
    raise NotImplementedError


@script
def main() -> None:
    """Keep features in Redis until Ctrl-C."""
    # TODO 6: call the functions.
    raise NotImplementedError
