"""The report's page in a browser, on a desk and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright

from exercise_06_monitoring.alerts import Check
from exercise_06_monitoring.report import write_report
from lab.learn import UserError
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF

CHROMIUM = shutil.which("chromium")
SIZES = {"desk": (1280, 900), "phone": (375, 720)}
MARKUP = "<script>alert(1)</script>"
ALERTS = [Check("drift", "avg_transaction_amount", False, "PSI 0.41, the limit is 0.25")]
NAN = float("nan")
DRIFT = [
    dict(zip(("feature", "severity", "has_drift", "psi"), row, strict=True))
    | {
        "baseline": "training",
        "ks": 0.1,
        "q_value": 0.2,
        "rows_reference": 900,
        "rows_current": 800,
        "nulls": [0.02, 0.41],
        "shares": [[0.5, 0.48, 0.02], [0.3, 0.29, 0.41]],
    }
    for row in [
        ("avg_transaction_amount", "high", True, 0.41),
        ("transaction_count_30d", "low", False, 0.02),
        ("refund_rate", "unknown", False, NAN),
    ]
]
USERS = "user_transaction_features"
FEW_UNITS = "PSI 0.43; 150 rows are worth 142 units; no alert below 200: see its plot"
CHECKS = [
    Check("drift", "chargeback_rate", True, FEW_UNITS),
    Check("data_quality", f"{USERS}.freshness", False, "the newest row arrived 600 minutes ago"),
    Check("data_quality", f"{USERS}.total_amount_30d.null_rate", True, MARKUP),
    Check("serving", "api", None, "the API does not answer"),
]


@pytest.fixture
def page(tmp_path: Path, point_settings: PointSettings) -> Path:
    point_settings(data_dir=tmp_path)
    return write_report(AS_OF, ALERTS, pd.DataFrame(DRIFT), CHECKS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium: scripts/system-packages chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("size", SIZES)
def test_it_opens_without_a_network_and_fits(size: str, page: Path, browser: Browser) -> None:
    width, height = SIZES[size]
    tab = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == [page.as_uri()]
    assert complaints == []
    tab.close()


def test_it_shows_alerts_drift_and_checks(page: Path, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto(page.as_uri())
    assert "PSI 0.41, the limit is 0.25" in tab.locator("table").first.inner_text()
    assert tab.locator("td.high").all_inner_texts() == ["high"]
    assert tab.locator("td.failed").all_inner_texts() == ["failed"]
    assert set(tab.locator("td.unknown").all_inner_texts()) == {"unknown", "not measured"}
    plots = tab.locator("path.now").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    assert plots == ["M6 24v-14.4M12 24v-13.9M22 24v-19.7"] * 2, "the bar of nulls is apart"
    assert FEW_UNITS in tab.locator("body").inner_text()
    assert tab.get_by_text("2% / 41%").count() == 2, "of what was measured"
    assert tab.locator("script").count() == 0
    assert MARKUP in tab.locator("body").inner_text()
    tab.close()


def test_a_later_run_replaces_the_page_and_the_same_data_give_the_same(page: Path) -> None:
    before = page.read_text()
    assert write_report(AS_OF, ALERTS, pd.DataFrame(DRIFT), CHECKS) == page
    assert page.read_text() == before
    write_report(AS_OF, [], pd.DataFrame(DRIFT), CHECKS)
    assert "No alert is open" in page.read_text()
    assert [file.name for file in page.parent.iterdir()] == [page.name]


def test_a_full_disk_is_one_sentence_and_leaves_the_page(page: Path) -> None:
    before = page.read_text()
    page.with_suffix(".tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot be written: No space left on device\n  next: df"):
        write_report(AS_OF, [], pd.DataFrame(DRIFT), CHECKS)
    assert page.read_text() == before
