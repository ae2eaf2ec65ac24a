"""Schemathesis against the running service: what its OpenAPI page says is what it does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from serving_shop import running_api

EXAMPLES = 60


@pytest.fixture
def page(shop: Path) -> Iterator[Any]:
    with running_api() as client:
        yield schemathesis.openapi.from_asgi("/openapi.json", client.app)


schema = schemathesis.pytest.from_fixture("page")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_service_does_what_its_page_says(case: Any) -> None:
    case.call_and_validate()
