"""Inline SVG: two histograms laid over each other, and a line over days."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite

from markupsafe import Markup

from exercise_06_monitoring.drift.result import Histogram, Kind

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 10, 24
LABEL = 11  # letters of a category that are shown
TICKS = 5


def overlaid(reference: Histogram, current: Histogram, kind: Kind) -> Markup:
    """A pale bar for the reference and a strong, narrower one for the current share of each bin.

    Bins are equally wide: they are quantiles of the reference, and a long tail would hide the rest.
    """
    bins = len(reference.shares)
    if not bins:
        return Markup("")
    top = max(*reference.shares, *current.shares, 0.01) * 1.08
    step = (WIDTH - LEFT - RIGHT) / bins
    bars = []
    for number, (before, now) in enumerate(zip(reference.shares, current.shares, strict=True)):
        x = LEFT + number * step
        title = f"{_bin_name(reference, number, kind)}: {before:.1%} before, {now:.1%} now"
        bars.append(
            f"<g><title>{_escaped(title)}</title>"
            f"{_bar(x + 0.08 * step, 0.84 * step, before / top, 'before')}"
            f"{_bar(x + 0.28 * step, 0.44 * step, now / top, 'now')}</g>"
        )
    labels = (
        _category_labels(reference, step) if reference.labels else _edge_labels(reference, kind)
    )
    return _svg(
        "Shares of the values by bin, before and now", [*_grid(top, "{:.0%}"), *bars, *labels]
    )


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


def _category_labels(histogram: Histogram, step: float) -> list[str]:
    every = -(-len(histogram.labels) // TICKS)
    return [
        _text(LEFT + (number + 0.5) * step, HEIGHT - 8, _short(label), "middle")
        for number, label in enumerate(histogram.labels)
        if number % every == 0
    ]


def _edge_labels(histogram: Histogram, kind: Kind) -> list[str]:
    edges, bins = histogram.edges, len(histogram.shares)
    shown = sorted({round(share * bins / (TICKS - 1)) for share in range(TICKS)})
    width = WIDTH - LEFT - RIGHT
    anchors = {0: "start", bins: "end"}
    return [
        _text(
            LEFT + number / bins * width,
            HEIGHT - 8,
            readable(edges[number], kind),
            anchors.get(number, "middle"),
        )
        for number in shown
    ]


def _bin_name(histogram: Histogram, number: int, kind: Kind) -> str:
    if histogram.labels:
        return histogram.labels[number]
    low, high = (readable(edge, kind) for edge in histogram.edges[number : number + 2])
    return f"{low} to {high}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_escaped(text)}</text>'


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _escaped(text: str) -> Markup:
    return Markup.escape(text)


def readable(value: float, kind: Kind = "number") -> str:
    """A number in few letters, or a day: 12345 is 12.3k."""
    if not isfinite(value):
        return "–"
    if kind == "time":
        return f"{datetime.fromtimestamp(value, UTC):%d %b}"
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
