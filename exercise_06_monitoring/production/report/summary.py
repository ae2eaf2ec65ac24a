"""What the report says at a glance: a verdict, a tile for each part, and what to do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from exercise_06_monitoring.production.alerts.notice import Alert, Severity
from exercise_06_monitoring.production.check import Check, counted, duration
from exercise_06_monitoring.production.findings import DRIFT
from exercise_06_monitoring.production.report.content import Content, Groups, failed, next_step

State = Literal["good", "warn", "bad", "none"]
OF_SEVERITY: dict[str, State] = {"info": "none", "warning": "warn", "critical": "bad"}


@dataclass(frozen=True)
class Tile:
    """A part of the whole, at a glance."""

    name: str
    value: str
    note: str
    state: State
    anchor: str


@dataclass(frozen=True)
class Step:
    """An open alert, and what to do about it."""

    alert: Alert
    since: str
    state: State
    todo: Markup

    @property
    def is_drift(self) -> bool:
        return self.alert.type == DRIFT


@dataclass(frozen=True)
class Verdict:
    """The page in one sentence."""

    text: str
    state: State


@dataclass(frozen=True)
class Age:
    """How old a view's newest row is, as a part of what it may be."""

    name: str
    percent: float
    text: str
    state: State


def verdict_of(content: Content) -> Verdict:
    """The worst that is known."""
    if any(notice.alert.severity is Severity.CRITICAL for notice in content.open):
        return Verdict("Something is broken", "bad")
    if content.open or content.drifted or content.failed_quality or content.failed_serving:
        return Verdict("Look at what changed", "warn")
    return Verdict("All is well", "good")


def tiles_of(content: Content) -> Iterator[Tile]:
    drifted, all_features = len(content.drifted), len(content.drifts)
    yield Tile("Drift", str(drifted), f"of {all_features} features", _state(drifted), "drift")
    for name, groups, anchor in (
        ("Data quality", content.quality, "quality"),
        ("Serving", content.serving, "serving"),
    ):
        yield _tile_of_checks(name, groups, anchor)
    late = len({age.name for age in ages_of(content.quality) if age.state == "bad"})
    yield Tile(
        "Freshness", str(late), f"of {len(content.quality)} views late", _state(late), "freshness"
    )
    urgent = sum(notice.alert.severity is Severity.CRITICAL for notice in content.open)
    note = f"open, {urgent} of them critical"
    state: State = "bad" if urgent else _state(len(content.open))
    yield Tile("Alerts", str(len(content.open)), note, state, "next")


def _tile_of_checks(name: str, groups: Groups, anchor: str) -> Tile:
    wrong, measured = len(failed(groups)), sum(c.is_measured for g in groups.values() for c in g)
    if not measured:
        return Tile(name, "–", "not measured", "none", anchor)
    return Tile(name, str(wrong), f"of {counted(measured, 'check')} failed", _state(wrong), anchor)


def steps_of(content: Content) -> Iterator[Step]:
    """Of every open alert, the most urgent first."""
    for notice in content.open:
        yield Step(
            notice.alert,
            moment(datetime.fromisoformat(notice.since)),
            OF_SEVERITY[notice.alert.severity],
            _with_code(next_step(notice.alert, (content.quality, content.serving))),
        )


def ages_of(quality: Groups) -> Iterator[Age]:
    """From each view's check of freshness, or that of its delay where it fails."""
    for view, checks in quality.items():
        for check in checks:
            if check.check == "freshness" or (check.check == "delay" and not check.passed):
                yield _age(view, check)


def _age(view: str, check: Check) -> Age:
    limit = float(check.limit or 1)
    percent = min(100, max(2, 100 * check.value / limit))
    text = f"{duration(check.value)} of {duration(limit)}"
    return Age(view, round(percent, 1), text, "good" if check.passed else "bad")


def moment(time: datetime | None) -> str:
    return f"{time:%d %B, %H:%M} UTC" if time else "no run yet"


def _state(wrong: int) -> State:
    return "warn" if wrong else "good"


def _with_code(text: str) -> Markup:
    """Markdown's backticks as code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    plain = [Markup.escape(part) for part in parts[::2]]
    return Markup("").join(
        piece for pair in zip(plain, [*marked, Markup("")], strict=True) for piece in pair
    )
