"""The harness of `make bench`, and each benchmark once at a size that takes seconds."""

import json
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import (
    drift,
    grade,
    latency,
    materialize,
    mutation,
    pit,
    reader,
    serving,
    single,
    stream,
    stream_state,
)
from benchmarks.harness.child import in_child
from benchmarks.harness.figures import Figure, falls_short, read_required, save
from benchmarks.harness.timing import alternated
from benchmarks.run import families, figures_of, run
from lab.errors import UserError
from lab.settings import ROOT, settings

REQUIRED = {"fast": {"min": 2.0}, "small": {"max": 4.0}}
TINY: dict[str, Callable[[], Iterable[Figure]]] = {
    "drift": lambda: drift.measure(
        drift.Sizes(features=10, rows=5_000, large_features=20, large_rows=20_000, repeats=1)
    ),
    "grade": lambda: grade.measure(grade.Sizes(submissions=2, exercises=[1], whole=[1])),
    "materialize": lambda: materialize.measure(
        materialize.Sizes(keys=1_000, rows=4_000, growth={"20m": (500, 2_000)}, repeats=1)
    ),
    "mutation": mutation.measure,
    "pit": lambda: pit.measure(
        pit.Sizes(
            users=100,
            merchants=10,
            days=4,
            other_days=[1],
            in_memory={"100k": 50, "1m": 300},
            in_files={"10m": 2_000},
            repeats=1,
        )
    ),
    "reader": lambda: reader.measure(
        reader.Sizes(users=100, merchants=10, calls={1: 2, 100: 1}, blocks=1)
    ),
    "latency": lambda: latency.measure(
        latency.Sizes(users=100, calls={1: 2, 10: 2, 100: 1}, slices=1)
    ),
    "serving": lambda: serving.measure(
        serving.Sizes(
            transactions=2_000,
            payments=200,
            workers=1,
            seconds=0.2,
            slices=1,
            repeats=1,
            rate=100,
            rate_seconds=0.2,
            at_once=20,
            batches=20,
            singles=200,
            curve=(100, 200),
            curve_seconds=0.2,
            lifetime=200,
        )
    ),
    "single": lambda: single.measure(single.Sizes(transactions=2_000)),
    "stream": lambda: stream.measure(
        stream.Sizes(events=2_000, users=50, fresh_rate=50, fresh_s=2, day_users=20)
    ),
    "stream_state": lambda: stream_state.measure(
        stream_state.Sizes(events=2_000, users=(50,), day_users=20)
    ),
}


@pytest.mark.services
@pytest.mark.parametrize("family", TINY)
def test_a_family_measures_what_is_required_in_positive_numbers(family: str) -> None:
    """The data are so small that only the names and units of the figures mean something."""
    measured = list(TINY[family]())
    names = [figure.name for figure in measured]
    required = {name for name in read_required() if name.partition("_")[0] == family}
    assert required - set(names) == set()
    assert len(names) == len(set(names))
    assert all(name.startswith(f"{family}_") for name in names)
    assert all(figure.value > 0 or figure.unit in ("errors", "episodes") for figure in measured)
    assert all(figure.unit for figure in measured)
    compared = [figure for figure in measured if figure.peer]
    assert {f.name for f in compared} == {f.name for f in measured if "_vs_" in f.name}
    ratios = [(f.ratio, (f.peer_value or 0) / f.value) for f in compared]
    assert all(ratio in (pytest.approx(r), pytest.approx(1 / r)) for ratio, r in ratios)


def test_every_family_of_the_folder_is_tried_here() -> None:
    assert families() == sorted(TINY)


def test_every_requirement_is_about_a_family() -> None:
    assert {name.partition("_")[0] for name in read_required()} <= set(TINY)


def test_the_history_counts_an_event_no_earlier_than_the_pipeline_does() -> None:
    """The created time of the streaming history is above the measured p95 of the freshness."""
    delay_s = settings.streaming_delay.total_seconds()
    rows = (ROOT / "docs" / "benchmarks.md").read_text().splitlines()
    (row,) = [row for row in rows if row.startswith("| stream_freshness_p95_s ")]
    assert float(row.split("|")[2].split()[0]) < delay_s
    assert read_required()["stream_freshness_p95_s"]["max"] == delay_s


def test_a_row_replaces_the_row_of_its_name_and_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    save(Figure("small", 5, "GiB"), file, REQUIRED)
    save(Figure.cost("fast", 2, "s", "peer", 10), file, REQUIRED)
    save(Figure("small", 3, "GiB"), file, REQUIRED)
    small, fast = json.loads(file.read_text())
    assert small == {
        "name": "small",
        "value": 3,
        "unit": "GiB",
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "required": {"max": 4},
    }
    assert fast["ratio"] == 5
    assert fast["required"] == {"min": 2}


@pytest.mark.parametrize(
    ("figure", "is_short"),
    [
        (Figure.cost("fast", 2, "s", "peer", 4), False),
        (Figure.cost("fast", 2, "s", "peer", 3.9), True),
        (Figure("small", 4, "GiB"), False),
        (Figure("small", 4.1, "GiB"), True),
        (Figure("without a bound", 1e9, "s"), False),
    ],
)
def test_a_bound_is_about_the_ratio_where_there_is_one(figure: Figure, is_short: bool) -> None:
    assert (falls_short([figure], REQUIRED) == [figure]) is is_short


@pytest.mark.parametrize(("gib", "status"), [(1.0, 0), (100.0, 1)])
def test_the_exit_status_reports_a_shortfall_after_all_is_written(
    gib: float, status: int, tmp_path: Path
) -> None:
    def figures() -> Iterator[Figure]:
        yield Figure("pit_10m_peak_gib", gib, "GiB")
        yield Figure("another", 1, "s")

    file, shown = tmp_path / "bench.json", Console(file=StringIO(), width=120)
    assert run(figures(), file, shown) == status
    assert [row["name"] for row in json.loads(file.read_text())] == ["pit_10m_peak_gib", "another"]
    assert ("falls short" in shown.file.getvalue()) is bool(status)  # type: ignore[attr-defined]


def test_an_unknown_name_is_a_users_mistake_that_names_the_known_ones() -> None:
    with pytest.raises(
        UserError, match=r"(?s)called pti.*drift, grade, latency, materialize, mutation, pit"
    ):
        list(figures_of(["pti"]))


def test_sides_are_measured_in_turn_and_by_their_median() -> None:
    taken: list[str] = []

    def side(name: str, measures: list[float]) -> float:
        taken.append(name)
        return measures.pop()

    ours, theirs = [1.0, 100.0, 2.0], [5.0, 4.0, 6.0]
    slices = alternated({"a": lambda: side("a", ours), "b": lambda: side("b", theirs)}, 3)
    assert taken == ["a", "b"] * 3
    figure = Figure.of_slices("a", slices, "s")
    assert (figure.value, figure.peer, figure.peer_value) == (2, "b", 5)
    assert (figure.ratio, figure.interval) == (3, (0.04, 5))
    assert Figure.of_slices("a", slices, "requests/s", are_rates=True).ratio == 1 / 3


@pytest.mark.slow
def test_a_childs_memory_is_its_own() -> None:
    here = bytearray(1 << 30)
    small, large = in_child(bytearray, 1 << 20), in_child(bytearray, 1 << 29)
    del here
    assert small.peak_gib < 0.5
    assert large.peak_gib - small.peak_gib == pytest.approx(0.5, abs=0.1)
