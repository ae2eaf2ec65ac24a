"""Exercise 5: streaming features with Kafka and Flink SQL.

Chapter 1 (--windows) prints TUMBLE, HOP and SESSION windows when their watermark closes them. A
feature must not wait for that: chapter 2 emits each five-minute tile of a user whenever it changes,
and writer.py merges tiles into windows and writes them to Redis.
"""

import logging
import os
import signal
from datetime import UTC, datetime

import typer
from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, Table, TableEnvironment

from exercise_05_streaming import topics
from exercise_05_streaming.progress import LOGS, JobWatch, Progress, clock_ms, group_of
from exercise_05_streaming.windows import LOOK_BACK_MS, TILE_S
from exercise_05_streaming.writer import FeastSink, TileStore, Writer
from lab.learn import UserError, run_script, settings

# ---- STEP 1: Create the environment ------------------------------------------------------------

FEATURE_JOB = {
    # Emit a changed tile once a second, not once per event.
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "10000",
    # Forget a tile when no window has it, even if a producer's clock was an hour ahead.
    "table.exec.state.ttl": "26 h",
    # A failed task goes back to the last checkpoint of this run. Records since then are read again,
    # and a tile that is written twice has the same key and value. A new run starts without one.
    "execution.checkpointing.interval": "3 s",  # commits offsets, for which the progress time waits
    "execution.checkpointing.dir": f"file://{settings.build_dir.resolve()}/flink/checkpoints",
}


def create_environment(options: dict[str, str]) -> TableEnvironment:
    """Return a streaming TableEnvironment; its Flink runs inside a JVM of this process."""
    os.environ["FLINK_LOG_DIR"] = str(LOGS)
    logging.getLogger().addHandler(logging.NullHandler())  # py4j logs what it also raises
    jars = sorted(settings.flink_jars_dir.resolve().glob("*.jar"))
    if not jars and "FLINK_HOME" not in os.environ:
        raise UserError(f"Flink's Kafka connector is not in {settings.flink_jars_dir}", "lab up")
    basics = {"parallelism.default": str(topics.PARTITIONS), "table.local-time-zone": "UTC"}
    if jars:
        basics["pipeline.jars"] = ";".join(jar.as_uri() for jar in jars)
    configuration = Configuration()
    for name, value in (basics | options).items():
        configuration.set_string(name, value)
    mode = EnvironmentSettings.new_instance().in_streaming_mode()
    return TableEnvironment.create(mode.with_configuration(configuration).build())


# ---- STEP 2: Define the source -----------------------------------------------------------------

# Null for a text of another pattern.
TIME = f"REPLACE(REGEXP_EXTRACT(event_time, '^{topics.EVENT_TIME}\\z', 1), 'T', ' ')"
EVENT_AT = f"TRY_CAST({TIME} AS TIMESTAMP(3))"
# DECIMAL(38, 26) first: cast to DECIMAL(12, 2) at once, 9999999999.995 becomes ten billion.
EXACT = f"TRY_CAST(REGEXP_EXTRACT(amount, '^{topics.AMOUNT}\\z') AS DECIMAL(38, 26))"
DOLLARS = f"TRY_CAST({EXACT} AS DECIMAL(12, 2))"


def define_source(t_env: TableEnvironment, start_ms: int, group: str, columns: str = "") -> None:
    """Create the table of the topic `transactions`; `record_time` is Kafka's own time."""
    # By the mode `timestamp` it would skip to the newest record whenever its next one has expired.
    starts = ";".join(f"partition:{n},offset:{at}" for n, at in topics.offsets_at(start_ms).items())
    t_env.execute_sql(f"""
        CREATE TEMPORARY TABLE transaction_events (
            user_id STRING, amount STRING, is_approved STRING, event_time STRING,
            record_time TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL {columns}
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{topics.TRANSACTIONS}',
            'properties.bootstrap.servers' = '{settings.kafka_address}',
            'properties.group.id' = '{group}',
            'properties.isolation.level' = 'read_committed',
            'scan.startup.mode' = 'specific-offsets',
            'scan.startup.specific-offsets' = '{starts}',
            'scan.topic-partition-discovery.interval' = '5 s',
            'format' = 'json', 'json.ignore-parse-errors' = 'true'
        )
    """)


# ---- STEP 3, chapter 1: Windows and their watermark --------------------------------------------


def define_windows(t_env: TableEnvironment, size: int, slide: int, gap: int, delay: int) -> Table:
    """Return the query of all windows over the live topic; lengths in seconds.

    A window is emitted once, when the watermark passes its end; an event after that is dropped.
    The watermark is the newest time of the slowest partition minus `delay`.
    """
    time, seconds = "DESCRIPTOR(event_at)", "INTERVAL '{}' SECOND".format  # up to 99 s
    watermark = f"LEAST(event_at, record_time) - {seconds(delay)}"  # no time of the future
    columns = f", dollars AS {DOLLARS}, event_at AS COALESCE({EVENT_AT}, record_time)"
    define_source(t_env, clock_ms(), "windows", f"{columns}, WATERMARK FOR event_at AS {watermark}")
    events = "TABLE transaction_events"
    windows = {
        "TUMBLE": f"TUMBLE({events}, {time}, {seconds(size)})",
        "HOP": f"HOP({events}, {time}, {seconds(slide)}, {seconds(size)})",
        "SESSION": f"SESSION({events} PARTITION BY user_id, {time}, {seconds(gap)})",
    }
    values = "user_id, window_start, window_end, COUNT(*), SUM(dollars), MAX(dollars)"
    by = "WHERE user_id IS NOT NULL GROUP BY user_id, window_start, window_end"
    queries = [f"SELECT '{n}', {values} FROM TABLE({w}) {by}" for n, w in windows.items()]
    return t_env.sql_query(" UNION ALL ".join(queries))


def print_windows(query: Table) -> None:
    """Print each window when it is emitted, with the time since its end."""
    for name, user, start, end, count, total, highest in query.execute().collect():
        delay = (datetime.now(UTC).replace(tzinfo=None) - end).total_seconds()
        window = f"{name:<8}{start:%H:%M:%S}-{end:%H:%M:%S} {user:<10}{count:>4} payments"
        print(f"{window}, sum {total}, maximum {highest}; {delay:.1f} s after its end", flush=True)


# ---- STEP 3, chapter 2: Compute the features ---------------------------------------------------


def accept_events(t_env: TableEnvironment) -> None:
    """Create the view `accepted`: the events that count.

    No watermark decides what is late. It would depend on how fast each partition is read, and a
    reread of the log would drop other events. The record's own time gives the same answer always.
    A payment is declined when `is_approved` is false, or that word as text; else it is approved.
    """
    t_env.execute_sql(f"""
        CREATE TEMPORARY VIEW accepted AS
        SELECT user_id, CAST(dollars * 100 AS BIGINT) AS cents, is_approved = 'false' AS declined,
            CAST(TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', event_at) AS BIGINT) * 1000
                + CAST(DATE_FORMAT(event_at, 'SSS') AS BIGINT) AS event_ms
        FROM (SELECT *, {DOLLARS} AS dollars, {EVENT_AT} AS event_at FROM transaction_events)
        WHERE CHAR_LENGTH(user_id) BETWEEN 1 AND 256 AND dollars IS NOT NULL
            AND event_at BETWEEN record_time - INTERVAL '15' MINUTE
                AND record_time + INTERVAL '1' MINUTE
    """)


def compute_features(t_env: TableEnvironment, generation: int) -> None:
    """Create the view `tiles`: count, sums and times of each user's five minutes.

    A grouped count is emitted whenever it changes, and a late event changes it like any other. The
    generation is a start of the job without a checkpoint: newer tiles replace older ones.
    """
    t_env.execute_sql(f"""
        CREATE TEMPORARY VIEW tiles AS
        SELECT user_id, tile_start, COUNT(*) AS transaction_count,
            SUM(cents) AS total_cents, MAX(cents) AS max_cents,
            COUNT(*) FILTER (WHERE declined) AS declined_count,
            MIN(event_ms) AS first_event, MAX(event_ms) AS last_event,
            CAST({generation} AS BIGINT) AS generation
        FROM (SELECT *, event_ms / {TILE_S * 1_000} * {TILE_S} AS tile_start FROM accepted)
        GROUP BY user_id, tile_start
    """)


# ---- STEP 4: Write to Redis --------------------------------------------------------------------


def define_sink(t_env: TableEnvironment) -> None:
    """Create the table of the topic `user_tiles`; a record replaces the earlier ones of its key."""
    t_env.execute_sql(f"""
        CREATE TEMPORARY TABLE user_tiles (
            user_id STRING, tile_start BIGINT, transaction_count BIGINT, total_cents BIGINT,
            max_cents BIGINT, declined_count BIGINT, first_event BIGINT, last_event BIGINT,
            generation BIGINT, PRIMARY KEY (user_id, tile_start) NOT ENFORCED
        ) WITH (
            'connector' = 'upsert-kafka',
            'topic' = '{topics.TILES}',
            'properties.bootstrap.servers' = '{settings.kafka_address}',
            'key.format' = 'json',
            'value.format' = 'json'
        )
    """)


def write_to_redis(t_env: TableEnvironment, writer: Writer) -> None:
    """Start the job, and write features until it ends."""
    job = t_env.execute_sql("INSERT INTO user_tiles SELECT * FROM tiles").get_job_client()
    print(f"Job {job.get_job_id()} is running; Ctrl-C stops it", flush=True)
    watch = JobWatch(job)
    writer.run(topics.TopicReader(topics.TILES), watch.is_running)
    raise UserError(f"the Flink job has ended: {watch.cause_of_end()}", f"less {LOGS}/*")


# ---- STEP 5: Run -------------------------------------------------------------------------------


def run_features(writer: Writer) -> None:
    """Define and start the job of chapter 2."""
    t_env = create_environment(FEATURE_JOB)
    define_source(t_env, writer.generation - LOOK_BACK_MS, group_of(writer.generation))
    accept_events(t_env)
    compute_features(t_env, writer.generation)
    define_sink(t_env)
    write_to_redis(t_env, writer)


def main(
    windows: bool = False, size: int = 10, slide: int = 5, gap: int = 3, delay: int = 5
) -> None:
    """Keep features in Redis until Ctrl-C. With --windows: print windows of these lengths in s."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    topics.create_topics()
    try:
        if windows:
            print_windows(define_windows(create_environment({}), size, slide, gap, delay))
        else:
            now = clock_ms()  # the generation of the tiles
            run_features(Writer(now, TileStore(), FeastSink().write, Progress(now, clock_ms)))
    except KeyboardInterrupt:
        print("Stopped")


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
