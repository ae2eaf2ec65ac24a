"""Skipped tests fail where none may be skipped; tests that start services are marked."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from inspect import unwrap

import pytest

from tests.settings_in_force import PointSettings, settings_in_force

NO_SKIPS = "NO_SKIPS"  # set by .ci/run: a green run has run every test
STARTERS = frozenset(  # calling one of these starts a service, or a program that is not Python
    {
        *("private_redis", "private_kafka", "private_flink", "up", "sandbox"),
        *("sync_playwright", "function_jar", "every_service"),
    }
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure, naming what to install."""
    report = yield
    if report.skipped and os.environ.get(NO_SKIPS):
        _, _, reason = report.longrepr  # type: ignore[misc]
        report.outcome, report.longrepr = "failed", f"{reason}, and {NO_SKIPS} is set"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a service; `-m "not services"` leaves them out."""
    for item in items:
        if isinstance(item, pytest.Function) and _needs_services(item):
            item.add_marker("services")


def _needs_services(item: pytest.Function) -> bool:
    """Return whether a test or one of its fixtures starts a service."""
    if any(item.get_closest_marker(name) for name in ("kafka", "airflow")):
        return True
    definitions = item._fixtureinfo.name2fixturedefs.values()
    fixtures = (definition.func for each in definitions for definition in each)
    return any(STARTERS & _names_in(function) for function in (item.obj, *fixtures))


def _names_in(function: Callable[..., object]) -> frozenset[str]:
    code = getattr(unwrap(function), "__code__", None)
    return frozenset(code.co_names) if code else frozenset()


@pytest.fixture
def point_settings() -> Iterator[PointSettings]:
    """Change settings until the test ends."""
    with ExitStack() as changed:

        def change(**changes: object) -> None:
            changed.enter_context(settings_in_force(**changes))

        yield change
