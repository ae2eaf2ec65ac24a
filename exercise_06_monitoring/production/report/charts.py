"""Inline SVG: two histograms laid over each other, and a line over days."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite

from markupsafe import Markup, escape

from exercise_06_monitoring.production.drift.result import Histogram, Kind

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 10, 24
LABEL = 11  # letters of a category that are shown
TICKS = 5


def overlaid(reference: Histogram, current: Histogram, kind: Kind) -> Markup:
    """A pale bar for the reference and a strong, narrower one for the current share of each bin.

    Bins are equally wide: they are quantiles of the reference, and a long tail would hide the rest.
    Bins that are empty on both sides are left out.
    """
    names = _bin_names(reference, kind)
    bins = [
        bin for bin in zip(names, reference.shares, current.shares, strict=True) if any(bin[1:])
    ]
    if not bins:
        return Markup("")
    top = max(share for _, *shares in bins for share in shares) * 1.08
    step = (WIDTH - LEFT - RIGHT) / len(bins)
    every = -(-len(bins) // TICKS)
    parts = _grid(top, "{:.0%}")
    for number, (name, before, now) in enumerate(bins):
        x = LEFT + number * step
        parts.append(
            f"<g><title>{escape(name)}: {before:.1%} before, {now:.1%} now</title>"
            f"{_bar(x + 0.08 * step, 0.84 * step, before / top, 'before')}"
            f"{_bar(x + 0.28 * step, 0.44 * step, now / top, 'now')}</g>"
        )
        if number % every == 0:
            parts.append(_text(x + step / 2, HEIGHT - 8, _short(name), "middle"))
    return _svg("Shares of the values by bin, before and now", parts)


def over_days(values: Mapping[datetime, float], limit: float) -> Markup:
    """PSI by day, with the limit as a dashed line; a day without a value is left out."""
    points = [(day, value) for day, value in values.items() if isfinite(value)]
    if len(points) < 2:
        return Markup("")
    first, last = points[0][0], points[-1][0]
    top = max(limit * 1.25, *(value for _, value in points)) * 1.08
    span = (last - first).total_seconds()

    def place(day: datetime, value: float) -> tuple[float, float]:
        share = (day - first).total_seconds() / span
        return LEFT + share * (WIDTH - LEFT - RIGHT), _height(value / top)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    dots = [
        f'<circle class="{"over" if value >= limit else "under"}" r="2.4" '
        f'cx="{place(day, value)[0]:.1f}" cy="{place(day, value)[1]:.1f}">'
        f"<title>{day:%d %b}: {value:.3f}</title></circle>"
        for day, value in points
    ]
    y = _height(limit / top)
    border = f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    days = [
        _text(LEFT, HEIGHT - 8, f"{first:%d %b}", "start"),
        _text(WIDTH - RIGHT, HEIGHT - 8, f"{last:%d %b}", "end"),
    ]
    path = f'<polyline class="line" points="{line}"/>'
    return _svg("PSI by day", [*_grid(top, "{:.2f}"), border, path, *dots, *days])


def _svg(label: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _height(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _bar(x: float, width: float, share: float, name: str) -> str:
    y = _height(share)
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT - BOTTOM - y:.1f}" rx="1.5"/>'
    )


def _grid(top: float, form: str) -> list[str]:
    lines = []
    for share in (0, 0.5, 1):
        y = _height(share)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(_text(LEFT - 5, y + 3.5, form.format(share * top), "end"))
    return lines


def _bin_names(histogram: Histogram, kind: Kind) -> list[str]:
    """Categories by their label, other bins by what they reach up to; the last is open."""
    if histogram.labels:
        return list(histogram.labels)
    inner = [readable(edge, kind) for edge in histogram.edges[1:-1]]
    return [*(f"≤ {edge}" for edge in inner), f"> {inner[-1]}" if inner else "all values"]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def readable(value: float, kind: Kind = "number") -> str:
    """A number in few letters, or a day: 12345 is 12.3k."""
    if not isfinite(value):
        return "–"
    if kind == "time":
        return f"{datetime.fromtimestamp(value, UTC):%d %b}"
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{3 if abs(value) >= 1 else 2}g}"
