"""The data: raw events (simulated or imported), and the feature tables computed from them."""

from datetime import datetime

from lab.dataset import manifest
from lab.dataset.tables import MANIFEST
from lab.settings import settings, utc_now


def as_of() -> datetime:
    """Now, as the lab sees it: LAB_AS_OF, else the dataset's own, else the present moment."""
    if settings.as_of is not None:
        return settings.as_of
    if not (settings.data_dir / MANIFEST).exists():
        return utc_now()
    return manifest.read(settings.data_dir).as_of
