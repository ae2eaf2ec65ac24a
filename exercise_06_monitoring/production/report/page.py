"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from collections import defaultdict
from math import isfinite
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exercise_06_monitoring.production.check import counted
from exercise_06_monitoring.production.drift.result import FeatureDrift
from exercise_06_monitoring.production.report.charts import over_days, overlaid, readable
from exercise_06_monitoring.production.report.content import Content, limit_of
from exercise_06_monitoring.production.report.summary import (
    State,
    ages_of,
    moment,
    steps_of,
    tiles_of,
    verdict_of,
)
from lab.settings import settings

HERE = Path(__file__).resolve().parent
OPEN_FEATURES = 2  # shown unfolded when nothing has drifted


def render(content: Content) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_view: defaultdict[str, list[FeatureDrift]] = defaultdict(list)
    for drift in content.drifts:
        by_view[drift.view].append(drift)
    healthy = [drift for drift in content.drifts if not drift.has_drift]
    return environment.get_template("page.html.j2").render(
        content=content,
        style=Markup((HERE / "style.css").read_text()),
        verdict=verdict_of(content),
        tiles=list(tiles_of(content)),
        steps=list(steps_of(content)),
        by_view=by_view,
        ordered=[*content.drifted, *healthy],
        open_features=0 if content.drifted else OPEN_FEATURES,
        freshness=list(ages_of(content.quality)),
        settings=settings,
        readable=readable,
        counted=counted,
        moment=moment,
        state=state_of,
        limit=limit_of,
        level=level_of,
        breakable=breakable,
        histogram=lambda drift: overlaid(
            drift.reference_histogram, drift.current_histogram, drift.kind
        ),
        line=lambda drift: over_days(content.psi[drift.feature], limit_of(drift)),
    )


def state_of(drift: FeatureDrift) -> State:
    if not drift.has_drift:
        return "good"
    return "bad" if drift.severity == "high" else "warn"


def level_of(drift: FeatureDrift) -> int:
    """PSI in per cent of its limit, 100 at most."""
    return round(min(100.0, 100 * drift.psi / limit_of(drift))) if isfinite(drift.psi) else 0


def breakable(name: str) -> Markup:
    """A name that a line may end in, after an underscore."""
    return Markup("_<wbr>").join(name.split("_"))
