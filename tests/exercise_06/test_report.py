"""The report as a reader meets it, in a browser on a desk and on a phone; and for machines."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from playwright.sync_api import Browser, Dialog, Locator, sync_playwright
from prometheus_client.parser import text_string_to_metric_families

from exercise_06_monitoring.production.alerts.announce import announce
from exercise_06_monitoring.production.drift import compare
from exercise_06_monitoring.production.findings import QUALITY, check_alerts, drift_alerts
from exercise_06_monitoring.production.report.charts import overlaid
from exercise_06_monitoring.production.report.write import write_report
from tests.exercise_06.kept_runs import (
    CALM,
    DRIFTED,
    FRESH,
    LATE,
    NOW,
    STALE,
    WORDS,
    save_drift,
    save_quality,
)
from tests.settings_in_force import PointSettings

CHROMIUM, PROMTOOL = shutil.which("chromium"), shutil.which("promtool")
RECEIVERS = ("slack_webhook_url", "smtp_host", "pagerduty_routing_key")
SIZES = {"desk": (1280, 900), "phone": (375, 720)}
HEALTHY = replace(CALM, feature="transaction_count_30d")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, point_settings: PointSettings) -> None:
    point_settings(data_dir=tmp_path, **dict.fromkeys(RECEIVERS))


@pytest.fixture
def page(memory: None) -> Path:
    """Two features that drift since yesterday, one that does not, and a pipeline that stopped."""
    for days in range(6, -1, -1):
        drifts = [replace(DRIFTED, psi=0.5 - days / 20), WORDS] if days < 2 else [CALM]
        save_drift(*drifts, HEALTHY, as_of=NOW - timedelta(days=days))
    save_quality(STALE)
    stale = check_alerts(QUALITY, {"user_transaction_features": [STALE]})
    announce([*drift_alerts([DRIFTED, WORDS]), *stale])
    return write_report(NOW)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium: scripts/system-packages chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_anywhere_without_a_network(
    scheme: Literal["light", "dark"], size: str, page: Path, browser: Browser
) -> None:
    width, height = SIZES[size]
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == [page.as_uri()]
    assert complaints == []
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = int(background.removeprefix("rgb(").split(",")[0])
    assert (shade > 200) == (scheme == "light")
    tab.close()


def test_it_tells_at_a_glance_and_in_detail(page: Path, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto(page.as_uri())
    assert tab.locator(".verdict").inner_text() == "Something is broken"
    tiles = {name: value for name, value, *_ in map(str.splitlines, texts(tab.locator(".tile")))}
    expected = {"Drift": "2", "Data quality": "1", "Serving": "–", "Freshness": "1", "Alerts": "3"}
    assert tiles == expected
    assert tab.locator(".feature.bad").count() == 2
    assert tab.locator(".feature.good").count() == 1
    steps = texts(tab.locator(".steps li"))
    assert "Start their pipeline again" in steps[0], "the critical one comes first"
    card = tab.locator(f"#{DRIFTED.feature}")
    assert "drifting since 31 May" in card.inner_text()
    assert card.locator("svg").count() == 2, "both distributions, and PSI by day"
    assert card.locator("rect.before").count() == card.locator("rect.now").count() == 3
    assert card.locator("circle.over").count() == 2
    assert tab.locator(f"#{HEALTHY.feature}[open]").count() == 0, "what is well is folded"
    tab.close()


def test_what_failed_is_shown_and_what_passed_or_was_not_measured_is_folded(
    browser: Browser,
) -> None:
    save_drift(replace(CALM, ended=1))
    save_quality(FRESH, LATE)
    tab = browser.new_page()
    tab.goto(write_report(NOW).as_uri())
    (failed,) = texts(tab.locator("#quality li:visible"))
    assert "delay" in failed
    assert "1 other passed" in tab.locator("#quality").inner_text()
    assert tab.locator("#freshness .bad").count() == 1
    assert "not measured" in tab.locator("#serving summary").inner_text()
    assert tab.locator("#serving .mark.good").count() == 0
    assert "rows end 1 day before: compared as of then" in tab.locator("#features").inner_text()
    tab.close()


def texts(locator: Locator) -> list[str]:
    return locator.all_inner_texts()


def test_names_from_the_data_are_text_and_never_markup(page: Path, browser: Browser) -> None:
    tab = browser.new_page()
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", dismiss)
    tab.goto(page.as_uri())
    titles = tab.locator(f"#{WORDS.feature} svg title").all_text_contents()
    assert any("<script>alert(1)</script>" in title for title in titles)
    assert tab.locator("script").count() == 0
    assert dialogs == []
    tab.close()


def test_a_calm_day_says_so(browser: Browser) -> None:
    save_drift(CALM)
    save_quality(FRESH)
    tab = browser.new_page()
    tab.goto(write_report(NOW).as_uri())
    assert tab.locator(".verdict").inner_text() == "All is well"
    assert "No alert is open" in tab.locator("#next").inner_text()
    tab.close()


@pytest.mark.parametrize("column", [[None], [7.0], [None, 7.0]])
def test_a_feature_without_two_values_has_a_picture_too(column: list[float | None]) -> None:
    table = pd.DataFrame({"amount": pd.Series(column, dtype=float)})
    (drift,) = compare(table, table)
    picture = overlaid(drift.reference_histogram, drift.current_histogram, drift.kind)
    assert ("<svg" in picture) == (drift.null_rate_current < 1)


def test_it_can_be_written_before_the_first_run() -> None:
    assert "No drift run yet" in write_report(NOW).read_text()


def test_machines_read_the_same(page: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    told = json.loads(page.with_suffix(".json").read_text(), parse_constant=refuse)
    features = {feature["feature"]: feature for feature in told["features"]}
    assert features[DRIFTED.feature]["psi"] == 0.5
    assert features[DRIFTED.feature]["chi_square_p_value"] is None
    assert told["drifting_since"][DRIFTED.feature].startswith("2026-05-31")
    assert len(told["psi_by_day"][DRIFTED.feature]) == 7
    assert told["quality"]["user_transaction_features"][0]["passed"] is False
    assert len(told["open_alerts"]) == 3


def test_prometheus_reads_the_same(page: Path) -> None:
    text = (page.parent / "metrics.prom").read_text()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[(name, *sorted(labels.items()))]

    view = DRIFTED.view
    assert value("feature_psi", view=view, feature=DRIFTED.feature) == 0.5
    assert value("feature_drifted", view=view, feature=DRIFTED.feature) == 1
    assert value("feature_drifted", view=view, feature=HEALTHY.feature) == 0
    freshness = {"view": view, "column": "", "check": "freshness"}
    assert value("feature_check_failed", **freshness) == 1
    assert value("feature_check_value", **freshness) == STALE.value
    assert value("monitoring_open_alerts") == 3
    assert value("monitoring_last_run_timestamp_seconds", run="drift") > 0
    if PROMTOOL:
        subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, check=True)


def test_a_report_replaces_its_day_and_leaves_nothing_half_written(page: Path) -> None:
    assert write_report(NOW + timedelta(hours=3)) == page
    files = {file.name for file in page.parent.iterdir() if file.is_file()}
    json_file = page.with_suffix(".json").name
    assert files == {"metrics.prom", "monitoring.db", page.name, json_file}
