"""The two windows of a view, from its table: four whole weeks then, one week now.

Rows of one entity are not independent, so an entity has one row in each window. In the reference it
is of one of the four weeks, which its name decides: drawn from all of them it would be of an active
week more often than a row of one week is. Every weekday is as frequent on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from exercise_06_monitoring.production.drift.catalogue import View, views_of
from exercise_06_monitoring.production.drift.compare import judge
from exercise_06_monitoring.production.drift.measure import measure_all
from exercise_06_monitoring.production.drift.panel import WEEK, Panel, read_panel
from exercise_06_monitoring.production.drift.past import Past
from exercise_06_monitoring.production.drift.psi import psi_of
from exercise_06_monitoring.production.drift.result import FeatureDrift
from exercise_06_monitoring.production.drift.statistics import Counts
from lab import dataset
from lab.settings import settings

USUAL = 0.25  # the lower quartile, so that a drift is not usual before it has lasted three weeks


@dataclass(frozen=True)
class Windows:
    """A view's features, one row per entity and window, and what their past was."""

    view: str
    reference: pd.DataFrame
    current: pd.DataFrame
    past: dict[str, Past]


def detect_drift(features: Sequence[str], as_of: datetime | None = None) -> list[FeatureDrift]:
    """The verdict on each named feature at that moment, by default the lab's now, in their order.

    Raises UserError for an unknown feature, or when there are no data.
    """
    verdicts = {d.feature: d for d in compare_windows(feature_windows(features, as_of))}
    return [verdicts[feature] for feature in features]


def compare_windows(windows: Sequence[Windows]) -> list[FeatureDrift]:
    """The verdict on every feature of all views, which are judged together."""
    measured = [m for w in windows for m in measure_all(w.reference, w.current, w.view)]
    return judge(measured, {name: past for w in windows for name, past in w.past.items()})


def feature_windows(features: Sequence[str], as_of: datetime | None = None) -> list[Windows]:
    """The windows of every view that holds one of the named features."""
    return [view_windows(view, as_of or dataset.as_of()) for view in views_of(features)]


def view_windows(view: View, as_of: datetime) -> Windows:
    """The windows of one view, as known at that moment."""
    days = settings.drift_history_days
    panel = read_panel(view, as_of, settings.drift_reference_days[0] + days)
    return windows_of(panel, psi_by_day(panel, earlier_days(panel, days)))


def windows_of(panel: Panel, history: pd.DataFrame, as_of_day: int = 0) -> Windows:
    """The windows as they stood so many days before the panel's end; history is of days before."""
    reference, current = window_rows(panel, as_of_day)
    first, last = settings.drift_reference_days
    past = {
        feature: Past(
            usual_psi=float(history[feature].quantile(USUAL)) if len(history) else 0.0,
            steps=(
                panel.steps(feature, as_of_day + last, first - last),
                panel.steps(feature, as_of_day, WEEK),
            ),
            ended=panel.ended,
        )
        for feature in panel.view.features
    }
    rows = panel.rows[list(panel.view.features)]
    return Windows(panel.view.name, rows.iloc[reference], rows.iloc[current], past)


def window_rows(panel: Panel, as_of_day: int) -> tuple[Counts, Counts]:
    """The numbers of the panel's rows that make the reference and the current window.

    Weeks in which the longest feature window had not filled yet are left out, unless all are such.
    """
    first, last = settings.drift_reference_days
    weeks = range(as_of_day + last, as_of_day + first, WEEK)
    filled = [week for week in weeks if week + WEEK <= panel.filled_days] or weeks
    parts = [(number, panel.week(week)) for number, week in enumerate(filled)]
    own = [rows[panel.draw_of_entity[rows] % len(parts) == number] for number, rows in parts]
    return np.concatenate(own), panel.week(as_of_day)


def earlier_days(panel: Panel, at_most: int) -> range:
    """The days before the last whose windows lie after the longest feature window has filled."""
    possible = panel.filled_days - settings.drift_reference_days[0]
    return range(1, min(at_most, possible) + 1)


def psi_by_day(panel: Panel, days: Sequence[int]) -> pd.DataFrame:
    """PSI of each feature, with the windows of each of those days before the panel's end."""
    table = {}
    for day in days:
        reference, current = window_rows(panel, day)
        table[day] = {
            feature: psi_of(panel.rows[feature].iloc[reference], panel.rows[feature].iloc[current])
            for feature in panel.view.features
        }
    return pd.DataFrame.from_dict(table, orient="index", columns=list(panel.view.features))


def psi_history(feature: str, days: int, as_of: datetime | None = None) -> pd.Series:
    """A feature's PSI of the last `days` days, oldest first, by the moment at which each ended.

    Shorter where the data do not reach back far enough.
    """
    (view,) = views_of([feature])
    end = as_of or dataset.as_of()
    panel = read_panel(view, end, settings.drift_reference_days[0] + days)
    history = psi_by_day(panel, [d for d in (0, *earlier_days(panel, days)) if d < days])[feature]
    moments = [end - timedelta(days=panel.ended + day) for day in history.index]
    return history.set_axis(moments).iloc[::-1]
