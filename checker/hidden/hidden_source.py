"""Makes the hidden data of one grading run: simulated, or a sample of the real data."""

import shutil
from datetime import datetime
from pathlib import Path

import pandas as pd

from checker.hidden.catalogue import CREATED, EVENT_TIME, KNOWN_VIEWS
from checker.hidden.hidden_data import QUIET_ENTITIES, QUIET_SINCE, HiddenData
from checker.settings import CheckerSettings
from lab.dataset.features import build_feature_tables
from lab.dataset.manifest import Manifest, read
from lab.dataset.simulate import simulate
from lab.dataset.tables import MANIFEST

HIDDEN_USERS = 800


def make_hidden_data(
    directory: Path, seed: int, as_of: datetime, config: CheckerSettings
) -> HiddenData:
    """Raw tables in `directory`, ending at `as_of`, and the feature tables that they give.

    They are simulated; or, where the lab holds an imported dataset, a sample of its users.
    """
    shutil.rmtree(directory, ignore_errors=True)
    source = _real_source(config.data_dir)
    if source is None:
        size, history = config.hidden_transactions, config.history
        source = simulate(directory, transactions=size, seed=seed, as_of=as_of, history=history)
    else:
        _sample(source, config, directory, seed, as_of)
    tables = {}
    for name, view in KNOWN_VIEWS.items():
        rows = pd.read_parquet(directory / f"{view.table}.parquet")
        rows = _with_quiet_entities(rows.assign(**{CREATED: rows[EVENT_TIME]}), view.key, as_of)
        tables[name] = rows.reset_index(drop=True)
    return HiddenData(directory, seed, as_of, tables, source, config.label_maturity)


def _with_quiet_entities(rows: pd.DataFrame, key: str, as_of: datetime) -> pd.DataFrame:
    """`rows` without the last days of some entities: of those that have earlier rows."""
    is_late = rows[EVENT_TIME] > as_of - QUIET_SINCE
    quiet = sorted(rows.loc[~is_late, key].unique())[:QUIET_ENTITIES]
    return rows[~(is_late & rows[key].isin(quiet))]


def _real_source(data_dir: Path) -> Manifest | None:
    if not (data_dir / MANIFEST).exists():
        return None
    manifest = read(data_dir)
    return None if manifest.simulation else manifest


def _sample(
    source: Manifest, config: CheckerSettings, directory: Path, seed: int, as_of: datetime
) -> None:
    """The recent transactions of some users, moved by whole hours to end at `as_of`."""
    raw = pd.read_parquet(config.data_dir / "transactions.parquet")
    users = pd.Series(raw["user_id"].unique())
    chosen = users.sample(min(HIDDEN_USERS, len(users)), random_state=seed)
    recent = raw["event_timestamp"] > source.as_of - config.history
    rows = raw[recent & raw["user_id"].isin(chosen)]
    shift = pd.Timedelta(as_of - source.as_of).floor("h")
    moved = {name: rows[name] + shift for name in ("event_timestamp", "label_timestamp")}
    directory.mkdir(parents=True)
    rows.assign(**moved).to_parquet(directory / "transactions.parquet", index=False)
    build_feature_tables(directory, as_of)
