"""Production parts: each alone and all together give the solution's predictions."""

import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from exercise_04_serving.app import main
from exercise_04_serving.production.onnx_model import TOLERANCE
from exercise_04_serving.production.parts import create_app
from exercise_04_serving.production.server import PARTS, require_parts
from lab.errors import UserError
from tests.exercise_04.serving_shop import Body, payments
from tests.shop import Shop

NOBODY = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 10.0}


def predictions(client: TestClient) -> list[Body]:
    answer = client.post("/predict/batch", json={"transactions": [*payments(20), NOBODY]})
    assert answer.status_code == 200, answer.text
    rows: list[Body] = answer.json()["predictions"]
    return [{name: row[name] for name in row if name != "latency_ms"} for row in rows]


@pytest.mark.parametrize("parts", [(), *((part,) for part in PARTS)], ids=str)
def test_a_part_alone_changes_no_prediction(shop: Shop, parts: tuple[str, ...]) -> None:
    with TestClient(main.create_app()) as client:
        expected = predictions(client)
    with TestClient(create_app(parts)) as client:
        found = predictions(client)
        assert client.get("/live").status_code == (200 if "health" in parts else 404)
    probabilities = [[row.pop("fraud_probability") for row in rows] for rows in (found, expected)]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=TOLERANCE)
    assert found == expected


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(UserError, match="no production part onyx"):
        require_parts(["onyx"])


def test_the_solution_imports_nothing_of_production() -> None:
    code = (
        "import sys, exercise_04_serving.app.main, exercise_04_serving.train_model, "
        "exercise_04_serving.demo\n"
        "used = {name for name in sys.modules if name.split('.')[0] in ('lab', 'checker')}\n"
        "print(sorted(used), [name for name in sys.modules if '.production' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['lab', 'lab.errors', 'lab.learn', 'lab.variables'] []"
