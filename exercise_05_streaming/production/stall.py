"""One user's count by the log, by a textbook's job and by this solution: `lab run 5 --stall`.

`main` starts services of its own; `record`, a process with their settings, plays the scenes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import redis
from confluent_kafka import Producer
from matplotlib.figure import Figure
from pyflink.common import RowKind

from exercise_01_setup.feature_repo.missing_values import PROGRESS_KEY
from exercise_05_streaming import flink_streaming_features as solution
from exercise_05_streaming.produce_events import generate_transaction_event
from exercise_05_streaming.production.verify import stored_features
from exercise_05_streaming.progress import clock_ms
from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS, create_topics
from exercise_05_streaming.verify import accepted_events, read_log
from exercise_05_streaming.windows import TILE_S
from lab.errors import UserError, run_script
from lab.settings import settings
from lab.stack.kafka import private_kafka
from lab.stack.redis import private_redis

MODULE = "exercise_05_streaming.production.stall"
JOBS = ([MODULE, "textbook"], ["exercise_05_streaming.production.job", "--parts", "writer"])
SHORT_TILE_S, LENGTH_S, TICK_S, START_TIMEOUT_S = 10, 150, 0.5, 180
MAX_AGE_MS = 10_000  # exercise 4 takes 30 s, where a tile lasts 300 s; the usual age is up to 5 s
GRACE_MS = 5_000  # a payment may take so long until it counts
USER, OTHER, *_ = USERS = range(PARTITIONS)  # each has a partition of its own
SCENES = {  # the seconds of each
    "the user\nis silent": range(4, 20),
    "open transaction\nof another user": range(26, 42),
    "both jobs\nare frozen": range(49, 69),
    "kill -9; the log\nis read again": range(76, LENGTH_S),
}
SILENT, OPEN, FROZEN, KILLED = SCENES.values()
STYLES = {"the log": ("0.8", 6), "textbook": ("tab:red", 2), "this solution": ("tab:blue", 2)}
Payment = tuple[int, int]  # the times in ms of an event and of its record in the log
Reading = tuple[int, int, int, int | None]  # time and progress time in ms, textbook's count, ours


def count_in_log(payments: list[Payment], window_ms: int, known_ms: int) -> int:
    """Return how many payments of the tile around `window_ms` the log contained at `known_ms`."""
    tile_ms = TILE_S * 1_000
    tile = window_ms // tile_ms
    return sum(event // tile_ms == tile and record <= known_ms for event, record in payments)


def compare(readings: list[Reading], payments: list[Payment]) -> pl.DataFrame:
    """Return all counts; a zero is wrong if the log had a payment of its tile for 5 s."""
    rows = [
        {
            "second": (at_ms - readings[0][0]) / 1_000,
            "the log": count_in_log(payments, at_ms, at_ms),
            "textbook": plain,
            "this solution": feature,
            "wrong zeros, textbook": plain == 0 < count_in_log(payments, at_ms, known_ms),
            "wrong zeros, this solution": feature == 0 < count_in_log(payments, as_of_ms, known_ms),
            "unknown, this solution": feature is None,
        }
        for at_ms, as_of_ms, plain, feature in readings
        for known_ms in [at_ms - GRACE_MS]
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def textbook() -> None:
    """Count a running tile as tutorials do: early results, an idle-timeout, SET with a TTL."""
    early = "table.exec.emit.early-fire"
    options = {f"{early}.enabled": "true", f"{early}.delay": "1 s"}
    t_env = solution.create_environment(options | {"table.exec.source.idle-timeout": "5 s"})
    watermark = "WATERMARK FOR event_at AS event_at - INTERVAL '1' SECOND"
    columns = f", event_at AS {solution.EVENT_AT}, {watermark}"
    solution.define_source(t_env, 0, "stall", columns)
    tile = f"TUMBLE(event_at, INTERVAL '{TILE_S}' SECOND)"
    query = f"SELECT user_id, COUNT(*) FROM transaction_events GROUP BY user_id, {tile}"
    store = redis.Redis(settings.host, settings.redis_port)
    for row in t_env.sql_query(query).execute().collect():
        if row.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER):
            store.set(f"count:{row[0]}", row[1], ex=TILE_S)


def read(store: redis.Redis) -> Reading:
    """Read the textbook's key, where none is a zero, and the feature as exercise 4 does."""
    feature = stored_features([str(USER)])["transaction_count_5m"][0]
    progress, plain = store.mget(PROGRESS_KEY, f"count:{USER}")
    at_ms, as_of_ms = clock_ms(), int(progress or 0)
    known = int(feature or 0) if at_ms - as_of_ms <= MAX_AGE_MS else None
    return at_ms, as_of_ms, int(plain or 0), known


def start_jobs(log: Path) -> list[int]:
    """Start the textbook's job and the solution's; return their process groups."""
    with log.open("ab") as out:
        commands = ([sys.executable, "-m", *job] for job in JOBS)
        return [subprocess.Popen(c, stdout=out, stderr=out, process_group=0).pid for c in commands]


def send_signal(jobs: list[int], number: int) -> None:
    """Send a signal to each job and its JVM."""
    for job in jobs:
        os.killpg(job, number)


def pay(producer: Producer, *users: int) -> None:
    """Send a payment of each user, at this moment."""
    for user in users:
        event = generate_transaction_event() | {"user_id": str(user)}
        producer.produce(TRANSACTIONS, json.dumps(event), str(user), partition=user)
    producer.flush(TICK_S)


def wait_for_start(store: redis.Redis, producer: Producer, log: Path) -> None:
    """Send payments until both readers have counts and a tile begins. Raises UserError."""
    for _ in range(int(START_TIMEOUT_S / TICK_S)):
        if time.time() % TILE_S <= TICK_S and all(read(store)):
            return
        pay(producer, *USERS)
        time.sleep(TICK_S)
    raise UserError("the jobs are too slow, or have ended", f"less {log}")


def record(picture: Path) -> None:
    """Play the scenes, read twice a second, and compare with the log."""
    create_topics()
    kafka, log = {"bootstrap.servers": settings.kafka_address}, picture.with_suffix(".log")
    store = redis.Redis(settings.host, settings.redis_port)
    producer, till = Producer(kafka), Producer(kafka | {"transactional.id": "till"})
    till.init_transactions()
    jobs, readings = start_jobs(log), list[Reading]()
    try:
        wait_for_start(store, producer, log)
        start = time.time()
        for tick in range(int(LENGTH_S / TICK_S)):
            second = tick * TICK_S
            time.sleep(max(0.0, start + second - time.time()))
            readings.append(read(store))
            if second == OPEN.start:
                till.begin_transaction()
                pay(till, OTHER)
            elif second == OPEN.stop:
                till.commit_transaction()
            elif second in (FROZEN.start, FROZEN.stop):
                send_signal(jobs, signal.SIGSTOP if second == FROZEN.start else signal.SIGCONT)
            elif second == KILLED.start:
                send_signal(jobs, signal.SIGKILL)
                jobs = start_jobs(log)
            pay(producer, *(USERS[1:] if int(second) in SILENT else USERS))
    finally:
        send_signal(jobs, signal.SIGKILL)
    events = accepted_events(read_log()).filter(user_id=str(USER))
    report(compare(readings, events.select("ms", "record_ms").rows()), picture)


def report(counts: pl.DataFrame, picture: Path) -> None:
    """Print the seconds of wrong and of unknown counts in each scene, and draw the counts."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for name, (colour, width) in STYLES.items():
        axes.step(counts["second"], counts[name], colour, lw=width, where="post", label=name)
    for label, scene in (SCENES | {"in all": range(LENGTH_S + 1)}).items():
        inside = counts.filter(pl.col("second").cast(pl.Int64).is_in(scene))
        sums = inside.select(pl.col("^(wrong|unknown).*$").sum() * TICK_S).row(0, named=True)
        line = "; ".join(f"{name} {value:.1f} s" for name, value in sums.items())
        print(f"{' '.join(label.split()):<32} {line}")
        if scene.stop <= LENGTH_S:
            axes.axvspan(scene.start, scene.stop, color="tab:orange", alpha=0.12, lw=0)
            axes.text(scene.start, 1.02, label, transform=axes.get_xaxis_transform())
    wrong = counts.filter(pl.any_horizontal("^wrong.*$"))
    axes.plot(wrong["second"], [0] * len(wrong), "kx", label="wrong zero")
    axes.set(xlim=(0, LENGTH_S), xlabel=f"seconds\n{line}", ylabel="payments in the running tile")
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(picture, dpi=100)
    print(f"Drawn: {picture}")


def main() -> None:
    """Run the recording in a process whose settings name services of its own."""
    picture = settings.build_dir.resolve() / "flink" / "stall.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        build = Path(folder)
        with private_kafka(build) as kafka, private_redis(build) as store:
            ports = {"LAB_KAFKA_PORT": str(kafka.port), "LAB_REDIS_PORT": str(store.port)}
            env = os.environ | ports | {"LAB_BUILD_DIR": folder, "LAB_TILE_S": str(SHORT_TILE_S)}
            sys.exit(subprocess.run([sys.executable, "-m", MODULE, picture], env=env).returncode)


if __name__ == "__main__":
    run_script(textbook if sys.argv[1:] == ["textbook"] else lambda: record(Path(sys.argv[1])))
