"""The job with the same plan, except its sinks, which drop all rows; it runs without a writer."""

import signal

from exercise_05_streaming.production.checkpoints import checkpoint_folder
from exercise_05_streaming.production.environment import open_flink
from exercise_05_streaming.production.job import SINKS, define_job, start_job
from exercise_05_streaming.progress import clock_ms


def main() -> None:
    t_env = open_flink(checkpoint_folder("blackhole"))
    define_job(t_env, clock_ms())
    for table in SINKS:
        dropped = f"{table}_dropped WITH ('connector' = 'blackhole') LIKE {table}"
        t_env.execute_sql(f"CREATE TEMPORARY TABLE {dropped} (EXCLUDING OPTIONS)")
    start_job(t_env, {f"{table}_dropped": view for table, view in SINKS.items()})
    signal.pause()


if __name__ == "__main__":
    main()
