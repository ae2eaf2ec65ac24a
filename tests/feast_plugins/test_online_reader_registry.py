"""The online reader and its registry: rejected changes, noticed changes, and outages."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from feast import FeatureService, Field, RequestSource
from feast.feature_view import FeatureViewState
from feast.on_demand_feature_view import OnDemandFeatureView, on_demand_feature_view
from feast.protos.feast.core.FeatureView_pb2 import FeatureView as FeatureViewProto
from feast.types import Float64, Map, String

from feast_plugins.online_errors import RegistryUnavailable, UnknownService, UnreadableService
from feast_plugins.online_reader import OnlineReader
from lab.stack.redis import RedisServer
from tests.feast_plugins.online_reader_repo import DAY, NOW, PROJECT, Repo, feature_view, shop, user

SECONDS = 30.0
ROWS = {"user_id": ["u1"]}


@pytest.fixture(scope="module")
def applied(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = Repo(tmp_path_factory.mktemp("applied"), server)
    made.write("stats", {"user_id": "u1"}, {"count": 7, "mean": 0.5})
    made.write("brief", {"user_id": "u1"}, {"clicks": 3})
    return made


@pytest.fixture
def repo(applied: Repo, tmp_path: Path) -> Repo:
    return applied.copied(tmp_path / "repo")


def opened(
    repo: Repo, service: str = "stats", refresh_s: float = 3600, **options: Any
) -> OnlineReader:
    options = {"now": lambda: NOW, **options}
    return OnlineReader.open(repo.config, service, refresh_s=refresh_s, **options)


def apply_with_clicks(repo: Repo) -> None:
    """Add a feature to the service."""
    features = [repo.views["stats"], repo.views["brief"]]
    repo.store.apply([FeatureService(name="stats", features=features)])


# ---- What it notices -------------------------------------------------------------------------


def test_a_changed_service_is_noticed_and_an_unchanged_one_is_not(repo: Repo) -> None:
    for service in ("stats", "computed"):
        with opened(repo, service) as reader:
            assert [reader.refresh(), reader.refresh()] == [False, False]
    with opened(repo) as reader:
        apply_with_clicks(repo)
        assert list(reader.read(ROWS).values) == ["count", "mean"]
        assert reader.refresh()
        assert reader.read(ROWS).values == {"count": [7], "mean": [0.5], "clicks": [3]}
        assert reader.state.registry.plans == 2


def test_a_changed_service_is_noticed_in_the_background(repo: Repo) -> None:
    with opened(repo, refresh_s=0.05) as reader:
        apply_with_clicks(repo)
        deadline = monotonic() + SECONDS
        while "clicks" not in reader.read(ROWS).values:
            assert monotonic() < deadline


def test_a_changed_ttl_and_a_changed_type_are_noticed(repo: Repo) -> None:
    with opened(repo) as reader:
        stats = feature_view("stats", [user], {"count": String, "mean": Float64}, DAY)
        repo.store.registry.apply_feature_view(stats, PROJECT)
        assert reader.refresh()
        assert reader.read(ROWS).values == {"count": [None], "mean": [None]}
        assert reader.read(ROWS).statuses == {"count": ["wrong type"], "mean": ["wrong type"]}


def test_reading_does_not_query_the_registry(repo: Repo) -> None:
    with opened(repo) as reader:
        (repo.folder / "registry.db").unlink()
        assert reader.read(ROWS).values["count"] == [7]


# ---- Some views of a service -----------------------------------------------------------------


def test_views_that_are_not_named_are_not_read(repo: Repo) -> None:
    apply_with_clicks(repo)
    for view, answer in (("stats", {"count": [7], "mean": [0.5]}), ("brief", {"clicks": [3]})):
        with opened(repo, views=[view]) as reader:
            assert reader.read(ROWS).values == answer
            assert list(reader.read(ROWS).event_times) == [view]


def test_an_on_demand_view_brings_what_it_reads(repo: Repo) -> None:
    with opened(repo, "computed", views=["ratios"]) as reader:
        answer = reader.read({**ROWS, "amount": [3.0]})
        assert answer.values == {"ratio": [6.0], "rounded": [1.0]}
        assert list(answer.event_times) == ["stats"]


# ---- What it reads through -------------------------------------------------------------------


@contextmanager
def stored_view(repo: Repo, name: str) -> Iterator[FeatureViewProto]:
    """Yield a view as the registry stores it: Feast's apply does not see changes of it."""
    with sqlite3.connect(repo.folder / "registry.db") as database:
        where = "FROM feature_views WHERE feature_view_name = ?"
        content = database.execute(f"SELECT feature_view_proto {where}", [name]).fetchone()[0]
        view = FeatureViewProto.FromString(content)
        yield view
        change = "UPDATE feature_views SET feature_view_proto = ? WHERE feature_view_name = ?"
        database.execute(change, [view.SerializeToString(), name])


def test_a_view_that_is_being_materialized_is_read(repo: Repo) -> None:
    with opened(repo) as reader:
        with stored_view(repo, "stats") as view:
            view.meta.state = FeatureViewState.MATERIALIZING.value
        repo.store.refresh_registry()
        with pytest.raises(ValueError, match="MATERIALIZING"):
            repo.sdk("stats", ROWS)
        reader.refresh()
        assert reader.state.registry.failed_checks == 0
        assert reader.read(ROWS).values["count"] == [7]
    with opened(repo) as reader:
        assert reader.read(ROWS).values["count"] == [7]


def renamed(repo: Repo, old: str, new: str) -> None:
    with sqlite3.connect(repo.folder / "registry.db") as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_registry_that_cannot_be_read_leaves_the_plan_and_is_counted(repo: Repo) -> None:
    times = iter([NOW, NOW + DAY])
    with opened(repo, now=lambda: next(times, NOW)) as reader:
        renamed(repo, "feature_services", "elsewhere")
        assert not reader.refresh()
        assert reader.read(ROWS).values["count"] == [None]  # the second NOW: a day later
        state = reader.state.registry
        assert (state.failed_checks, state.checked_at) == (1, NOW)
        assert "the registry of reader cannot be read" in (state.last_error or "")
        renamed(repo, "elsewhere", "feature_services")
        assert not reader.refresh()
        assert (reader.state.registry.failed_checks, reader.state.registry.last_error) == (1, None)


def test_a_service_that_is_gone_or_broken_leaves_the_plan_and_is_counted(repo: Repo) -> None:
    with opened(repo) as reader:
        repo.store.registry.delete_feature_service("stats", PROJECT)
        assert not reader.refresh()
        assert reader.read(ROWS).values["count"] == [7]
        assert "cannot serve 'stats'" in (reader.state.registry.last_error or "")


# ---- What it refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "options", "problem"),
    [
        ("fraud", {}, r"project reader cannot serve 'fraud': .*fraud"),
        ("stats", {"views": ["brief", "stats"]}, "stats has no view brief"),
        ("two_users", {}, r"more than one count, mean: .*full_feature_names"),
        ("stats", {"defaults": {"amount": 1.0, "count": 1}}, r"given for amount, .*stats"),
    ],
    ids=["unknown service", "unknown view", "names that collide", "a default of no feature"],
)
def test_what_the_service_lacks_is_named(
    service: str, options: dict[str, Any], problem: str, repo: Repo
) -> None:
    with pytest.raises((UnknownService, UnreadableService), match=problem):
        opened(repo, service, **options)


def test_a_registry_that_cannot_be_opened(repo: Repo) -> None:
    (repo.folder / "registry.db").write_bytes(b"not a database " * 100)
    with pytest.raises(RegistryUnavailable, match=r"registry of reader cannot be read: .*database"):
        opened(repo)


def test_a_disabled_view(repo: Repo) -> None:
    with stored_view(repo, "stats") as view:
        view.spec.disabled = True
    with pytest.raises(UnreadableService, match="stats needs stats, which is disabled"):
        opened(repo)


def test_a_type_that_the_layout_lacks(repo: Repo) -> None:
    maps = feature_view("maps", [shop], {"odd": Map}, DAY)
    repo.store.apply([maps, FeatureService(name="maps", features=[maps])])
    with pytest.raises(UnreadableService, match="maps:odd is of type MAP"):
        opened(repo, "maps")


def computed(repo: Repo, **options: Any) -> OnDemandFeatureView:
    payment = RequestSource(name="payment", schema=[Field(name="amount", dtype=Float64)])

    @on_demand_feature_view(
        sources=[repo.views["stats"], payment],
        schema=[Field(name="twice", dtype=Float64)],
        **options,
    )
    def odd(inputs):
        import pandas as pd

        amount = inputs["amount"]
        if isinstance(inputs, pd.DataFrame):
            return pd.DataFrame({"twice": amount * 2})
        is_row = not isinstance(amount, list)
        return {"twice": amount * 2 if is_row else [2 * one for one in amount][:1]}

    return odd


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"mode": "pandas"}, "its mode is pandas"),
        ({"mode": "python", "singleton": True}, "it is a singleton"),
        (
            {"mode": "python", "write_to_online_store": True, "entities": [user]},
            "it is written to the online store",
        ),
    ],
)
def test_an_on_demand_view_that_cannot_be_called(
    repo: Repo, options: dict[str, Any], problem: str
) -> None:
    view = computed(repo, **options)
    repo.store.apply([view, FeatureService(name="odd", features=[view])])
    with pytest.raises(UnreadableService, match=f"odd needs on-demand view odd: {problem}"):
        opened(repo, "odd")


def test_a_store_of_another_layout(repo: Repo) -> None:
    config = repo.config.model_copy(update={"online_config": {"type": "sqlite"}})
    with pytest.raises(UnreadableService, match="the online store is sqlite, and not Redis"):
        OnlineReader.open(config, "stats")
