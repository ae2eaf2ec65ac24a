"""What a report tells: read from the runs that are kept, so each job can write the whole of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from exercise_06_monitoring.production import runs
from exercise_06_monitoring.production.alerts.ledger import open_notices, pending
from exercise_06_monitoring.production.alerts.notice import Alert, Notice
from exercise_06_monitoring.production.check import Check
from exercise_06_monitoring.production.drift.result import FeatureDrift, Histogram
from exercise_06_monitoring.production.findings import DRIFT, NEXT_STEPS
from lab.settings import settings

Groups = dict[str, list[Check]]

ON_DRIFT = (
    "Compare the histograms. If the world has changed, train again: `lab run 2`, `lab run 4`; "
    "if the pipeline has, mend it and backfill."
)
ON_ANYTHING_ELSE = "Look at the rows that arrived since then, and at what changed in the pipeline."


@dataclass(frozen=True)
class Content:
    """Everything on the page. Moments are in UTC; a job that never ran has none."""

    as_of: datetime
    drift_as_of: datetime | None
    quality_as_of: datetime | None
    drifts: list[FeatureDrift]
    psi: dict[str, dict[datetime, float]]
    drifting_since: dict[str, datetime]
    quality: Groups
    serving: Groups
    open: list[Notice]
    undelivered: int
    finished: dict[str, datetime]

    @property
    def drifted(self) -> list[FeatureDrift]:
        """The worst first."""
        return sorted((d for d in self.drifts if d.has_drift), key=lambda d: -d.psi)

    @property
    def failed_quality(self) -> int:
        return len(failed(self.quality))

    @property
    def failed_serving(self) -> int:
        return len(failed(self.serving))

    def to_json(self) -> dict[str, Any]:
        """The same for machines; NaN is left for the writer to make null."""
        return {
            "as_of": self.as_of,
            "drift_as_of": self.drift_as_of,
            "quality_as_of": self.quality_as_of,
            "features": [asdict(drift) for drift in self.drifts],
            "psi_by_day": {
                name: {f"{day:%Y-%m-%d}": psi for day, psi in days.items()}
                for name, days in self.psi.items()
            },
            "drifting_since": self.drifting_since,
            "quality": {name: [asdict(c) for c in checks] for name, checks in self.quality.items()},
            "serving": {name: [asdict(c) for c in checks] for name, checks in self.serving.items()},
            "open_alerts": [asdict(notice) for notice in self.open],
            "undelivered_notices": self.undelivered,
        }


def read_content(as_of: datetime) -> Content:
    """The newest run of each job, and what came before it."""
    drift, quality = runs.latest("drift"), runs.latest("quality")
    drifts = [drift_from(plain) for plain in drift.results.values()] if drift else []
    limits = {d.feature: limit_of(d) for d in drifts}
    days = {d.feature: runs.history("drift", d.feature) for d in drifts}
    return Content(
        as_of=as_of,
        drift_as_of=drift.as_of if drift else None,
        quality_as_of=quality.as_of if quality else None,
        drifts=drifts,
        psi={name: {day: d["psi"] for day, d in past.items()} for name, past in days.items()},
        drifting_since={
            name: since
            for name, past in days.items()
            if (since := _unbroken_since(past, limits[name])) is not None
        },
        quality=_groups(quality, "quality"),
        serving=_groups(quality, "serving"),
        open=open_notices(),
        undelivered=len(pending()),
        finished={run.job: run.finished for run in (drift, quality) if run},
    )


def drift_from(plain: dict[str, Any]) -> FeatureDrift:
    """What asdict made plain."""
    histograms = {
        side: Histogram(**{name: tuple(values) for name, values in plain[side].items()})
        for side in ("reference_histogram", "current_histogram")
    }
    return FeatureDrift(**{**plain, **histograms, "reasons": tuple(plain["reasons"])})


def limit_of(drift: FeatureDrift) -> float:
    """What the PSI must reach to count."""
    return max(drift.psi_threshold, settings.drift_psi_medium)


def failed(groups: Groups) -> list[Check]:
    return [check for checks in groups.values() for check in checks if not check.passed]


def next_step(alert: Alert, groups: Iterable[Groups]) -> str:
    """What to do about an alert, in Markdown's backticks."""
    if alert.type == DRIFT:
        return ON_DRIFT
    steps = (
        NEXT_STEPS.get(check.check)
        for checks in groups
        for check in failed(checks)
        if check.message in alert.message
    )
    return next((step for step in steps if step), ON_ANYTHING_ELSE)


def _groups(run: runs.Run | None, name: str) -> Groups:
    plain = run.results.get(name, {}) if run else {}
    return {group: [Check(**check) for check in checks] for group, checks in plain.items()}


def _unbroken_since(days: Mapping[datetime, Any], limit: float) -> datetime | None:
    """The first of the days up to the last on which it drifted without a break.

    Of days before the first run only PSI is known.
    """
    since = None
    for day, drift in days.items():
        drifted = drift.get("has_drift", drift["psi"] >= limit)
        since = (since or day) if drifted else None
    return since
