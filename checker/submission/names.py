"""The names in a submission: the brief's, unless its submission.toml maps them."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from checker.hidden.catalogue import KNOWN_VIEWS
from lab.errors import UserError

OVERRIDES = "submission.toml"
CRONTABS = ("crontab", "crontab.txt", "*.crontab", "*.cron")
CANONICAL_KEYS = ("user_id", "merchant_id", "product_id")
SECTIONS = {"entities", "features", "data", "serving", "streaming", "monitoring"}


@dataclass(frozen=True)
class Names:
    """The submission's own names for entities and features, and its own commands.

    `prepare` makes its data, `start` its API on `{port}`, which reads the file `model`. `stream` is
    its job, `stream_read` how its values are read. `monitor` is a run of its monitoring.
    """

    entities: dict[str, str] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    prepare: str | None = None
    start: str | None = None
    model: str = "models/fraud_detector.pkl"
    stream: str | None = None
    stream_read: str = "feast"
    allowed_lateness_s: float = 0
    monitor: str | None = None

    def key(self, canonical: str) -> str:
        """The join key that stands for the brief's `canonical` one."""
        return self.entities.get(canonical, canonical)

    def with_join_keys(self, registered: set[str]) -> "Names":
        """These names, with a key's short form where only that is registered."""
        short = {key: key.removesuffix("_id") for key in CANONICAL_KEYS if key not in registered}
        found = {key: name for key, name in short.items() if name in registered}
        return replace(self, entities={**found, **self.entities})

    def feature(self, view: str, feature: str) -> tuple[str, str]:
        """The view and the name under which the submission keeps the brief's feature."""
        own = self.features.get(f"{view}:{feature}", f"{view}:{feature}")
        own_view, _, own_feature = own.partition(":")
        return own_view, own_feature

    def frame(self, canonical: pd.DataFrame) -> pd.DataFrame:
        """A table of ours under the submission's names."""
        return canonical.rename(columns=self._columns())

    def canonical(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table of theirs under the brief's names; view__feature counts as feature.

        Of two columns of one name a feature of the brief's counts, or else the first.
        """
        short = {str(name): str(name).rpartition("__")[2] for name in frame.columns}
        own = {theirs: ours for ours, theirs in self._columns().items()}
        named = frame.rename(columns={name: own.get(end, end) for name, end in short.items()})
        known_first = np.argsort(~frame.columns.isin(self._full_names()), kind="stable")
        kept = known_first[~named.columns[known_first].duplicated()]
        return named.iloc[:, np.sort(kept)]

    def _full_names(self) -> list[str]:
        """The brief's features as Feast writes them with the names of their views."""
        known = [(view.name, name) for view in KNOWN_VIEWS.values() for name in view.features]
        return ["__".join(self.feature(*feature)) for feature in known]

    def _columns(self) -> dict[str, str]:
        short = {
            name.partition(":")[2]: own.partition(":")[2] for name, own in self.features.items()
        }
        return {**self.entities, **short}


def read_names(folder: Path) -> Names:
    """The overrides of a submission; UserError when its submission.toml cannot be read."""
    file = folder / OVERRIDES
    if not file.is_file():
        return Names()
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{file} is not valid TOML: {error}", "see docs/contract.md") from error
    unknown = set(content) - SECTIONS
    if unknown:
        raise UserError(f"{file} has unknown sections: {', '.join(sorted(unknown))}")
    try:
        return _names(content)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{file} holds a value of the wrong type: {error}") from error


def _names(content: dict[str, Any]) -> Names:
    streaming = dict(content.get("streaming", {}))
    lateness = float(streaming.pop("allowed_lateness_s", 0))
    serving = _texts(content.get("serving", {}))
    return Names(
        entities=_texts(content.get("entities", {})),
        features=_texts(content.get("features", {})),
        prepare=_texts(content.get("data", {})).get("prepare"),
        start=serving.get("start"),
        model=_path_within(serving.get("model", Names.model)),
        stream=_texts(streaming).get("start"),
        stream_read=streaming.get("read", "feast"),
        allowed_lateness_s=lateness,
        monitor=_texts(content.get("monitoring", {})).get("start"),
    )


def _texts(section: dict[str, Any]) -> dict[str, str]:
    for name, value in section.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is no text")
    return section


def _path_within(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise ValueError(f"{name!r} is not a path within the folder of its exercise")
    return name
