"""Every port, path, limit and threshold of the lab, in one frozen object."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field, SecretStr

from lab.learn import LearnerSettings
from lab.learn import utc_now as utc_now
from lab.variables import Port, Seconds

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK: Final = "127.0.0.1"


class Settings(LearnerSettings):
    """Defaults for a learner's machine; LAB_<FIELD> in the environment overrides a field.

    Data, models and scorecards are the workspace's, services and their files this repository's.
    """

    # Places
    root: ClassVar[Path] = ROOT
    complete_journey: Path = ROOT / "data" / "complete_journey" / "transactions.parquet"

    # Feature store
    arrival_delay: timedelta = timedelta(minutes=20)
    late_arrival_delay: timedelta = timedelta(hours=5)
    streaming_delay: timedelta = timedelta(seconds=5)

    # Services, all on the loopback interface; the ports of a URL are in LearnerSettings
    redis_url: str | None = None
    kafka_bootstrap: str | None = None
    redis_maxmemory: str = "2gb"
    kafka_controller_port: Port = 9093
    kafka_heap: str = "512m"
    kafka_jars_dir: Path = ROOT / "build" / "stack" / "kafka_jars"
    stack_dir: Path = ROOT / "build" / "stack"
    stack_engine: Literal["auto", "process"] = "auto"
    docker_timeout_s: Seconds = 10
    stack_timeout_s: Seconds = 60
    stack_min_free_mb: int = 512
    download_timeout_s: Seconds = 600
    socket_timeout_s: Seconds = 5

    # Data
    transactions: int = 200_000
    history: timedelta = timedelta(days=120)
    dataset_memory_gib: float = 2

    # Training data
    warm_up: timedelta = timedelta(days=30)
    label_maturity: timedelta = timedelta(days=7)

    # Serving; LAB_API_HOST=0.0.0.0 is needed to be reached from elsewhere
    api_host: str = "127.0.0.1"
    api_workers: int = Field(default=2, ge=1)
    api_key: SecretStr | None = None
    feature_cache: Literal["on", "off"] = "on"
    cache_poll_s: Seconds = 1
    cache_entries_in_process: int = 20_000
    online_read_timeout_s: Seconds = 1
    body_timeout_s: Seconds = 5
    drain_timeout_s: int = 10
    max_in_flight: int = 1_000
    max_reads_at_once: int = 128
    max_body_bytes: int = 262_144
    prediction_log_days: int = Field(default=30, ge=1, le=36_500)

    # Streaming
    dead_letter_topic: str = "transactions_dead"
    kafka_timeout_s: Seconds = 10
    allowed_lateness: timedelta = timedelta(minutes=15)
    allowed_ahead: timedelta = timedelta(minutes=1)
    session_gap: timedelta = timedelta(minutes=30)
    tiles_poll_s: Seconds = 0.05
    writer_timeout_s: Seconds = 60

    # Flink
    checkpoint_dir: Path | None = None  # in the build folder
    checkpoint_interval: timedelta = timedelta(seconds=10)
    state_backend: Literal["hashmap", "rocksdb"] = "hashmap"
    # Beyond this lag the job ends and reads the log again: its state has forgotten what it needs
    max_lag: timedelta = timedelta(minutes=45)
    flink_heap: str = "2g"
    flink_parallelism: int = Field(default=2, ge=1)
    flink_emit_delay: timedelta = timedelta(seconds=1)
    flink_restarts: int = 20
    flink_stop_timeout_s: Seconds = 60
    flink_rest_port: Port = 8081
    flink_rpc_port: Port = 6123
    flink_task_managers: int = 2

    # Benchmarks
    bench_submissions: int = Field(default=12, ge=2)

    @property
    def flink_rest_url(self) -> str:
        """Return the URL of Flink's REST API."""
        return f"http://{self.host}:{self.flink_rest_port}"


settings = Settings.from_environment()
