"""Skipped tests fail where none may be skipped; tests that start services are marked."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache
from inspect import unwrap

import pytest
import redis

from lab.settings import settings
from lab.stack.redis import RedisServer, private_redis
from tests.settings_in_force import PointSettings, settings_in_force
from tests.shop import NewShop, Shop, SimulatedData, Size, open_shop, simulated

NO_SKIPS = "NO_SKIPS"  # set by .ci/run: a green run has run every test
NOT_PASSED = "NOT_PASSED"  # set by `make test` in CI, for a second run of the rest
PASSED = settings.root / "build" / "passed_tests.txt"
STARTERS = frozenset(  # functions and fixtures that start a service, or a program not of Python
    {
        *("private_redis", "private_kafka", "private_flink", "up", "new_shop"),
        *("sandbox", "BatchRun", "GradingProcess", "apart", "sync_playwright", "every_service"),
    }
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure, naming what to install."""
    report = yield
    if report.skipped and os.environ.get(NO_SKIPS):
        assert isinstance(report.longrepr, tuple)
        _, _, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason}, and {NO_SKIPS} is set"
    return report


def pytest_configure() -> None:
    """Forget what passed in an earlier run; a run inside a test forgets nothing."""
    if NOT_PASSED not in os.environ and not _is_worker():
        PASSED.unlink(missing_ok=True)


def _is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Store the tests that passed in CI; those that a crashed worker had left are in no report."""
    if report.when == "call" and report.passed and "CI" in os.environ and not _is_worker():
        PASSED.parent.mkdir(exist_ok=True)
        with PASSED.open("a") as file:
            file.write(f"{report.nodeid}\n")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a service or much data; `make quick` leaves them out."""
    if NOT_PASSED in os.environ and PASSED.exists():
        passed = set(PASSED.read_text().splitlines())
        items[:] = [item for item in items if item.nodeid not in passed]
    for item in (item for item in items if isinstance(item, pytest.Function)):
        if _needs_services(item):
            item.add_marker("services")
        if "simulated_data" in item.fixturenames:
            item.add_marker("slow")


def _needs_services(item: pytest.Function) -> bool:
    """Return whether a test or one of its fixtures starts a service."""
    if any(item.get_closest_marker(name) for name in ("kafka", "airflow")):
        return True
    if STARTERS & set(item.fixturenames):
        return True
    definitions = item._fixtureinfo.name2fixturedefs.values()
    fixtures = (definition.func for each in definitions for definition in each)
    return any(STARTERS & _names_in(function) for function in (item.obj, *fixtures))


def _names_in(function: Callable[..., object]) -> frozenset[str]:
    code = getattr(unwrap(function), "__code__", None)
    return frozenset(code.co_names) if code else frozenset()


@pytest.fixture
def point_settings() -> Iterator[PointSettings]:
    """Yield a function that changes settings until the test ends."""
    with ExitStack() as changed:

        def change(**changes: object) -> None:
            changed.enter_context(settings_in_force(**changes))

        yield change


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield a Redis of the module's own."""
    with private_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    """Return a client of the module's Redis, which is emptied."""
    client = server.client()
    client.flushall()
    return client


@pytest.fixture
def full_redis(client: redis.Redis) -> Iterator[redis.Redis]:
    """Yield the client of a Redis at its memory limit; the limit of before returns afterwards."""
    limit = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", client.info("memory")["used_memory"])
    yield client
    client.config_set("maxmemory", limit)


@pytest.fixture(scope="session")
def simulated_data(tmp_path_factory: pytest.TempPathFactory) -> SimulatedData:
    """Return a function that simulates data once for each size; tests must not change them."""
    return cache(lambda size: simulated(tmp_path_factory.mktemp("simulated") / "data", size))


@pytest.fixture(scope="session")
def new_shop(
    simulated_data: SimulatedData, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewShop]:
    """Yield a function that opens a shop once per size; its Redis runs until the session ends."""
    with ExitStack() as running:

        @cache
        def opened(size: Size) -> Shop:
            folder = tmp_path_factory.mktemp("shop")
            redis = running.enter_context(private_redis(folder / "redis"))
            return open_shop(folder, redis, simulated_data(size))

        yield opened
