"""Production parts: each alone and all together give the solution's predictions."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exercise_04_serving.app import main
from exercise_04_serving.production.onnx_model import TOLERANCE
from exercise_04_serving.production.parts import create_app
from exercise_04_serving.production.server import PARTS, require_files, require_parts
from lab.errors import UserError
from tests.exercise_04.serving_shop import NOBODY, Body, payments
from tests.settings_in_force import settings_in_force
from tests.shop import Shop


def predictions(client: TestClient) -> list[Body]:
    answer = client.post("/predict/batch", json={"transactions": [*payments(20), NOBODY]})
    assert answer.status_code == 200, answer.text
    rows: list[Body] = answer.json()["predictions"]
    return [{name: row[name] for name in row if name != "latency_ms"} for row in rows]


@pytest.fixture(scope="module")
def expected(shop: Shop) -> list[Body]:
    """Return the solution's predictions."""
    with TestClient(main.create_app()) as client:
        return predictions(client)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_alone_changes_no_prediction(expected: list[Body], part: str) -> None:
    with TestClient(create_app({part})) as client:
        found = predictions(client)
        assert client.get("/live").status_code == (200 if part == "health" else 404)
    for ours, row in zip(found, expected, strict=True):
        assert ours == row | {
            "fraud_probability": pytest.approx(row["fraud_probability"], abs=TOLERANCE)
        }


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(UserError, match="no production part onyx"):
        require_parts(["onyx"])


def test_a_server_without_a_model_names_the_next_command(shop: Shop, tmp_path: Path) -> None:
    missing = rf"(?s){tmp_path / 'fraud_detector.pkl'} is missing.*lab run 4"
    with settings_in_force(model_dir=tmp_path), pytest.raises(UserError, match=missing):
        require_files()
