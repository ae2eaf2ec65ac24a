"""The checker's settings: the lab's, and the limits of grading."""

import tempfile
from pathlib import Path
from typing import Literal

from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from lab.settings import Settings

THRESHOLDS = Path(__file__).with_name("thresholds.toml")


class CheckerSettings(Settings):
    """Built by a command or a grading process, and passed on; no other module reads them.

    A field without a default has its value in thresholds.toml. LAB_<FIELD> in the environment
    overrides a field.
    """

    weights: dict[str, float]
    isolation: Literal["auto", "none", "files", "full"] = "auto"
    extra_packages: Path | None = None
    timing_dir: Path = Path(tempfile.gettempdir()) / "lab-timing"
    timing_turn_s: float = 900
    timing_quiet_s: float = 60  # for a quiet machine, in all later rounds of a timed criterion

    # A submission's files
    submission_max_mib: float
    notebook_max_mib: float
    submission_max_files: int

    # What its code may take
    submission_limit_s: float
    criterion_limit_s: float
    import_timeout_s: float
    call_timeout_s: float
    memory_limit_gib: float
    memory_total_gib: float
    process_limit: int
    thread_limit: int
    disk_limit_gib: float
    disk_files: int

    # The criteria
    hidden_transactions: int
    timed_rounds: int
    online_read_p95_ms: float
    online_reads: int
    materialize_entities: int
    materialize_limit_s: float
    redis_bytes_per_entity: int
    serving_start_s: float
    serving_patience_s: float
    serving_pairs: int
    serving_p95_ms: float
    serving_rate: int
    serving_load_s: float
    serving_hit_rate: float
    serving_down_s: float
    serving_up_s: float
    serving_connections: int
    serving_connections_s: float
    streaming_start_s: float
    streaming_alive_s: float
    streaming_events: int
    streaming_users: int
    streaming_settle_s: float
    streaming_after_window_s: float
    streaming_fresh_events: int
    streaming_fresh_s: float
    streaming_served_s: float

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then the file of thresholds, then the defaults."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, THRESHOLDS)
