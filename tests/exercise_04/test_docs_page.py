"""The service's own documentation in a real browser: an operation is tried out from it."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests.exercise_04.serving_shop import SECONDS, LiveApi, live_api

CHROMIUM = which("chromium")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: scripts/system-packages chromium"
)


@pytest.fixture(scope="module")
def served(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    log = tmp_path_factory.mktemp("api") / "api.log"
    with live_api(log, api_workers=1, api_key="sesame") as api:
        yield api


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(SECONDS * 1_000)
        yield page
        browser.close()


def test_a_prediction_is_made_from_the_page_without_any_other_host(
    served: LiveApi, page: Page
) -> None:
    hosts: set[str] = set()

    def note(request: Request) -> None:
        if request.url.startswith("http"):
            hosts.add(request.url.split("/")[2])

    page.on("request", note)
    page.goto(f"{served.url}/docs")
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill("sesame")
    page.locator(".auth-container button.authorize").click()
    page.locator(".auth-container button.btn-done").click()
    operation = page.locator(".opblock", has_text="/predict").first
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()
    live = operation.locator(".live-responses-table")
    live.locator("tbody td.response-col_status").first.wait_for()
    assert live.locator("tbody td.response-col_status").first.inner_text().startswith("200")
    assert '"fraud_probability"' in live.inner_text()
    assert hosts == {f"127.0.0.1:{served.port}"}
