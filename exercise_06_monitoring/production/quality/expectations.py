"""Reads expectations.toml: what each view is expected to hold."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lab.errors import UserError
from lab.settings import settings

FILE = settings.feature_repo / "expectations.toml"


class FeatureExpectation(BaseModel):
    """Limits of a feature's values; None for no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = None
    max: float | None = None
    max_null_rate: float = settings.null_rate_limit
    max_outlier_rate: float = settings.outlier_rate_limit
    refers_to: str | None = None


class ViewExpectation(BaseModel):
    """What is expected of a view's rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fresh_within_minutes: float
    keys_refer_to: str | None = None
    features: dict[str, FeatureExpectation] = {}


@cache
def expectations(file: Path = FILE) -> dict[str, ViewExpectation]:
    """By view. Raises UserError for a file that does not say what it should."""
    try:
        views = tomllib.loads(file.read_text())
        return {name: ViewExpectation(**view) for name, view in views.items()}
    except (tomllib.TOMLDecodeError, ValidationError, TypeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
