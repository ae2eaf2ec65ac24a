"""The job with the same plan, but for its sinks, which drop everything; no writer beside it."""

import signal

from exercise_05_streaming.production.checkpoints import checkpoint_folder
from exercise_05_streaming.production.job import open_flink, start_job


def main() -> None:
    start_job(open_flink(checkpoint_folder("blackhole")), blackhole=True)
    signal.pause()


if __name__ == "__main__":
    main()
