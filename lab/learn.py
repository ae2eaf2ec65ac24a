"""Paths, ports and the error type: everything of `lab` that a solution or a starter file imports.

`lab run` and `lab check` set the environment variables (docs/contract.md). Without them the paths
are those of the workspace that holds the working directory, and the ports the usual ones.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import AwareDatetime
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.errors import UserError, run_script

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["LearnerSettings", "UserError", "open_store", "run_script", "settings", "utc_now"]


def _workspace() -> Path:
    """Return the nearest folder, from the working directory upwards, that has exercises."""
    here = Path.cwd()
    repository = Path(__file__).resolve().parent.parent
    return next((f for f in [here, *here.parents] if any(f.glob("exercise_01*"))), repository)


WORKSPACE = _workspace()


class LearnerSettings(BaseSettings):
    """LAB_<FIELD> in the environment overrides a field."""

    model_config = SettingsConfigDict(env_prefix="LAB_", frozen=True)

    data_dir: Path = WORKSPACE / "data"
    build_dir: Path = WORKSPACE / "build"
    feature_repo: Path = WORKSPACE / "exercise_01_setup" / "feature_repo"
    model_dir: Path = WORKSPACE / "build" / "models"
    # Flink's Kafka connector; empty where FLINK_HOME names a Flink that has it in its lib folder
    flink_jars_dir: Path = WORKSPACE / "build" / "stack" / "flink_jars"

    host: Literal["127.0.0.1"] = "127.0.0.1"
    redis_port: int = 6379
    kafka_port: int = 9092
    api_port: int = 8000

    as_of: AwareDatetime | None = None  # the present of the data; None for the current hour
    seed: int = 20240101

    @property
    def redis_address(self) -> str:
        """HOST:PORT of Redis."""
        return f"{self.host}:{self.redis_port}"

    @property
    def kafka_address(self) -> str:
        """HOST:PORT of Kafka, its bootstrap server."""
        return f"{self.host}:{self.kafka_port}"

    @property
    def api_url(self) -> str:
        """URL of the serving API on this machine."""
        return f"http://{self.host}:{self.api_port}"


settings = LearnerSettings()


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def open_store() -> "FeatureStore":
    """Open the feature store from any working directory; UserError when nothing is applied.

    Feast resolves the path of a SQLite registry against the working directory, which is / under
    cron. Here the registry lies in the data folder.
    """
    from feast import FeatureStore, RepoConfig

    config = yaml.safe_load((settings.feature_repo / "feature_store.yaml").read_text())
    registry = settings.data_dir / Path(config["registry"]["path"]).name
    if not registry.exists():
        raise UserError(f"there is no registry {registry}", "lab run 1")
    config["registry"]["path"] = f"sqlite:///{registry}"
    address = f"{settings.redis_address},socket_timeout=1,socket_connect_timeout=1"
    config["online_store"]["connection_string"] = address
    return FeatureStore(config=RepoConfig(repo_path=settings.feature_repo, **config))
