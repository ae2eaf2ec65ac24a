"""Schemathesis against the running service: it behaves as its OpenAPI page describes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.exercise_04.serving_shop import live_api
from tests.shop import Shop

EXAMPLES = 60


@pytest.fixture
def page(shop: Shop, tmp_path: Path) -> Iterator[Any]:
    with live_api(tmp_path / "api.log", api_workers=1) as api:
        yield schemathesis.openapi.from_url(f"{api.url}/openapi.json")
        metrics = api.client.get("/metrics").text
    assert 'http_responses_total{route="/predict",status="200"}' in metrics
    assert re.search(r'http_responses_total{[^}]*status="5.."} (?!0)', metrics) is None


schema = schemathesis.pytest.from_fixture("page")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_service_behaves_as_its_page_describes(case: Any) -> None:
    case.call_and_validate()
