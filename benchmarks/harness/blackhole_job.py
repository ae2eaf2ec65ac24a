"""The job with the same plan, but for its sinks, which drop everything; no writer beside it."""

import signal

from exercise_05_streaming.production.flink_streaming_features import start_job
from exercise_05_streaming.production.job.checkpoints import checkpoint_folder
from exercise_05_streaming.production.job.flink import open_flink

BLACKHOLE = "'connector' = 'blackhole'"


def main() -> None:
    flink = open_flink(checkpoint_folder("blackhole"))
    start_job(flink, tiles_sink=BLACKHOLE, dead_letters_sink=BLACKHOLE)
    signal.pause()


if __name__ == "__main__":
    main()
