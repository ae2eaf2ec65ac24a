"""One small shop, applied once; every test gets it anew, with an empty Redis."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis

from feast_plugins.redis_encoding import entity_key
from lab.dataset.simulate import simulate
from lab.settings import settings
from lab.stack.redis import RedisServer, private_redis

AS_OF = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
PROJECT = "ml_platform_features"
TABLES = {
    "user_transaction_features": "user_stats",
    "merchant_risk_features": "merchant_stats",
    "product_popularity_features": "product_stats",
    "user_preference_features": "user_preferences",
}

Dump = dict[bytes, dict[bytes, bytes]]


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with private_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def lab_folder(
    tmp_path_factory: pytest.TempPathFactory, session_redis: RedisServer
) -> Iterator[Path]:
    """The settings point into one folder and to one Redis; the definitions are applied there."""
    from exercise_01_setup.setup_store import apply_definitions

    folder = tmp_path_factory.mktemp("lab")
    places = {"data_dir": folder / "data", "build_dir": folder / "build"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (places | {"redis_port": session_redis.port}).items():
            patch.setitem(vars(settings), name, value)
        simulate(
            settings.data_dir, transactions=6_000, seed=7, as_of=AS_OF, history=timedelta(days=120)
        )
        apply_definitions()
        shutil.copytree(folder / "data", folder / "pristine")
        yield folder


@pytest.fixture
def lab(lab_folder: Path, session_redis: RedisServer) -> Path:
    """The shop as it was applied, and nothing in Redis."""
    shutil.rmtree(lab_folder / "data")
    shutil.copytree(lab_folder / "pristine", lab_folder / "data")
    session_redis.client().flushall()
    return lab_folder


@pytest.fixture
def lab_environment(lab: Path) -> dict[str, str]:
    """What another process needs to work on the same shop."""
    return {
        "LAB_DATA_DIR": str(settings.data_dir),
        "LAB_BUILD_DIR": str(settings.build_dir),
        "LAB_REDIS_PORT": str(settings.redis_port),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def client(lab: Path, session_redis: RedisServer) -> redis.Redis:
    return session_redis.client()


@pytest.fixture
def dump(client: redis.Redis) -> Callable[[], Dump]:
    """Every entity's hash, field by field."""

    def read() -> Dump:
        keys = client.scan_iter(match=f"*{PROJECT}", count=10_000, _type="hash")
        return {key: client.hgetall(key) for key in keys if not key.startswith(b"materialized")}

    return read


def read_table(view: str) -> pd.DataFrame:
    return pd.read_parquet(settings.data_dir / f"{TABLES[view]}.parquet")


def write_table(view: str, table: pd.DataFrame) -> None:
    table.to_parquet(settings.data_dir / f"{TABLES[view]}.parquet", index=False)


def change(view: str, entity: str, at: datetime, created: datetime, **features: Any) -> None:
    """Add a row to a view's table: the entity's newest one, with these times and values."""
    table = read_table(view)
    row = table[table.iloc[:, 0] == entity].tail(1)
    times = {"event_timestamp": at, "created_timestamp": created}
    moments = {name: pd.Timestamp(time).as_unit("us") for name, time in times.items()}
    new = row.assign(**moments, **features).astype(table.dtypes)
    write_table(view, pd.concat([table, new], ignore_index=True))


def keys_of(view: str, entities: Iterable[str]) -> set[bytes]:
    """The Redis keys of entities of a view."""
    join_key = TABLES[view].split("_")[0].rstrip("s") + "_id"
    return {entity_key(PROJECT, join_key, entity) for entity in entities}
