"""A skipped test tells a person what to install; where nothing may be skipped, it fails."""

import os
from collections.abc import Generator

import pytest

NO_SKIPS = "NO_SKIPS"  # set by .ci/run: a green run has run every test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(NO_SKIPS):
        assert isinstance(report.longrepr, tuple)
        _, _, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason}, and {NO_SKIPS} is set"
    return report
