"""The two looks that are taken at the features, each kept as a run: drift, and data and serving."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from exercise_06_monitoring.production import runs
from exercise_06_monitoring.production.check import Check
from exercise_06_monitoring.production.drift.catalogue import monitored_views, views_of
from exercise_06_monitoring.production.drift.panel import read_panel
from exercise_06_monitoring.production.drift.result import FeatureDrift
from exercise_06_monitoring.production.drift.windows import detect_drift, earlier_days, psi_by_day
from exercise_06_monitoring.production.quality.views import check_views
from exercise_06_monitoring.production.serving.serving import check_api, check_online_store
from lab.feature_store import open_store
from lab.settings import settings

Groups = dict[str, list[Check]]
API_IS_KNOWN_FOR = timedelta(days=1)


def monitored_features() -> list[str]:
    """Every stored feature of the registry."""
    return [feature for view in monitored_views() for feature in view.features]


def watch_drift(
    features: Sequence[str], as_of: datetime, *, scheduled: bool = False
) -> list[FeatureDrift]:
    """Compare the windows of each feature; a run of the same day keeps its other features."""
    started, earlier = time.perf_counter(), runs.latest("drift")
    if earlier is None:
        runs.fill("drift", _earlier_psi(features, as_of))
    drifts = detect_drift(features, as_of)
    is_of_today = earlier is not None and earlier.period == runs.period_of("drift", as_of)
    kept = earlier.results if earlier and is_of_today else {}
    results = kept | {drift.feature: asdict(drift) for drift in drifts}
    seconds = time.perf_counter() - started
    runs.save(runs.Run("drift", as_of, seconds, results), scheduled=scheduled)
    return drifts


def _earlier_psi(features: Sequence[str], as_of: datetime) -> dict[datetime, dict[str, Any]]:
    """What earlier runs would have measured, from the history that the offline store has."""
    found: defaultdict[datetime, dict[str, Any]] = defaultdict(dict)
    reach = settings.drift_reference_days[0] + settings.drift_history_days
    for view in views_of(features):
        panel = read_panel(view, as_of, reach)
        days = earlier_days(panel, settings.drift_history_days)
        for day, row in psi_by_day(panel, days).iterrows():
            for feature, psi in row.items():
                found[as_of - timedelta(days=panel.ended + day)][feature] = {"psi": psi}
    return found


def watch_quality(as_of: datetime, *, scheduled: bool = False) -> tuple[Groups, Groups]:
    """Check the data that arrived, and the serving side; the checks of both, by view."""
    started, store = time.perf_counter(), open_store()
    quality = check_views(store, as_of)
    api, counts = check_api(_counts_before(as_of))
    serving = check_online_store(store, as_of) | {"serving API": api}
    results = {"quality": _plain(quality), "serving": _plain(serving), "counts": counts}
    seconds = time.perf_counter() - started
    runs.save(runs.Run("quality", as_of, seconds, results), scheduled=scheduled)
    return quality, serving


def _counts_before(as_of: datetime) -> dict[str, float] | None:
    """What the API had counted at the last look, if it was met within a day."""
    past = runs.history("quality", "counts")
    met = {period: counts for period, counts in past.items() if counts}
    newest = max(met, default=None)
    return met[newest] if newest and as_of - newest < API_IS_KNOWN_FOR else None


def _plain(groups: Groups) -> dict[str, list[dict[str, object]]]:
    return {name: [asdict(check) for check in checks] for name, checks in groups.items()}
