"""Paths, ports and the error type: everything of `lab` that a solution or a starter file imports.

`lab run` and `lab check` set the environment variables (docs/contract.md). Without them the paths
are those of the workspace that holds the working directory, and the ports the usual ones.
"""

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import AwareDatetime, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.errors import UserError, exit_with, run_script, script
from lab.variables import Port, port_or_address, wrong_variable

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = [
    "LearnerSettings",
    "UserError",
    "as_of",
    "open_store",
    "run_script",
    "script",
    "settings",
    "store_config",
    "utc_now",
]

REPOSITORY = Path(__file__).resolve().parent.parent
PLUGINS = REPOSITORY / "exercise_01_setup" / "production" / "plugins.yaml"


def _workspace() -> Path:
    """Return the nearest folder, from the working directory upwards, that has exercises."""
    here = Path.cwd()
    return next((f for f in [here, *here.parents] if any(f.glob("exercise_01*/"))), REPOSITORY)


LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # Feast's times are nanoseconds, which end in 2262
WORKSPACE = _workspace()
FEATURE_REPO = WORKSPACE / "exercise_01_setup" / "feature_repo"


class LearnerSettings(BaseSettings):
    """LAB_<FIELD> in the environment overrides a field."""

    model_config = SettingsConfigDict(
        env_prefix="LAB_", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    # In a learner's workspace `data/…` of a FileSource resolves to it, as it does when graded
    data_dir: Path = (WORKSPACE if WORKSPACE == REPOSITORY else FEATURE_REPO) / "data"
    build_dir: Path = WORKSPACE / "build"
    feature_repo: Path = FEATURE_REPO
    model_dir: Path = WORKSPACE / "build" / "models"
    # Flink's Kafka connector; empty where FLINK_HOME names a Flink that has it in its lib folder
    flink_jars_dir: Path = REPOSITORY / "build" / "stack" / "flink_jars"

    host: Literal["127.0.0.1"] = "127.0.0.1"
    # In place of a port, LAB_REDIS_URL or LAB_KAFKA_BOOTSTRAP: a server that the user runs
    redis_port: Port = Field(6379, validation_alias=port_or_address("LAB_REDIS_PORT"))
    kafka_port: Port = Field(9092, validation_alias=port_or_address("LAB_KAFKA_PORT"))
    redis_cluster: str | None = None  # HOST:PORT,... for the features; the rest is at redis_port
    api_port: Port = 8000

    prediction_log: Path | None = None  # a file for the rows that exercise 4 scores; None is off

    tile_s: int = 300  # the running window of exercise 5; shorter for a demonstration

    # The present of the data; None for the current hour
    as_of: AwareDatetime | None = Field(None, ge=datetime(1971, 1, 1, tzinfo=UTC), le=LATEST)
    seed: int = 20240101

    # Feast's own stores, as feature_store.yaml names them, or the plug-ins over them
    stores: Literal["feast", "plugins"] = "feast"

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings; a wrong variable ends the program with one sentence and status 2."""
        try:
            return cls()
        except ValidationError as error:
            exit_with(wrong_variable(error))

    @property
    def redis_address(self) -> str:
        """Return HOST:PORT of Redis."""
        return f"{self.host}:{self.redis_port}"

    @property
    def kafka_address(self) -> str:
        """Return HOST:PORT of Kafka, its bootstrap server."""
        return f"{self.host}:{self.kafka_port}"

    @property
    def api_url(self) -> str:
        """Return the URL of the serving API on this machine."""
        return f"http://{self.host}:{self.api_port}"


settings = LearnerSettings.from_environment()


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def as_of() -> datetime:
    """Return the present of the data: LAB_AS_OF, else the dataset's own, else the current time."""
    dataset = settings.data_dir / "dataset.json"
    if settings.as_of is not None:
        return settings.as_of
    if not dataset.exists():
        return utc_now()
    return datetime.fromisoformat(json.loads(dataset.read_text())["as_of"])


def store_config(stores: str | None = None) -> dict[str, Any]:
    """Return feature_store.yaml with the paths and ports of this machine.

    Feast resolves the path of a SQLite registry against the working directory, which is / under
    cron. Here the registry lies in the data folder. `stores` overrides LAB_STORES. As in Feast,
    environment variables are replaced, and the registry may be a path only: then it is a file.
    """
    file = settings.feature_repo / "feature_store.yaml"
    if not file.exists():
        raise UserError(f"there is no {file}", "lab new FOLDER, which has it")
    config: dict[str, Any] = yaml.safe_load(os.path.expandvars(file.read_text()))
    given = config["registry"]
    registry: dict[str, Any] = {"path": given} if isinstance(given, str) else given
    url = "sqlite:///" if registry.get("registry_type") == "sql" else ""
    path = settings.data_dir / Path(registry["path"]).name
    config["registry"] = {**registry, "path": f"{url}{path}"}
    config["online_store"]["connection_string"] = settings.redis_cluster or settings.redis_address
    if settings.redis_cluster:
        config["online_store"]["redis_type"] = "redis_cluster"
    if (stores or settings.stores) == "plugins":
        for section, part in yaml.safe_load(PLUGINS.read_text()).items():
            config[section] = {**config.get(section, {}), **part}
    return config


def silence_known_warnings() -> None:
    """Silence warnings: Feast's of on-demand views, ibis's of DuckDB's next release."""
    warnings.filterwarnings("ignore", message="On demand feature view is an experimental")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="ibis")


def open_store(stores: str | None = None, redis_timeout_s: float | None = 1) -> "FeatureStore":
    """Open the feature store from any working directory; UserError when nothing is applied."""
    from feast import FeatureStore, RepoConfig

    silence_known_warnings()
    config = store_config(stores)
    registry = Path(config["registry"]["path"].removeprefix("sqlite:///"))
    if not registry.exists():
        raise UserError(f"there is no registry {registry}", "lab run 1")
    if redis_timeout_s is not None:
        limits = f",socket_timeout={redis_timeout_s},socket_connect_timeout={redis_timeout_s}"
        config["online_store"]["connection_string"] += limits
    return FeatureStore(config=RepoConfig(repo_path=settings.feature_repo, **config))
