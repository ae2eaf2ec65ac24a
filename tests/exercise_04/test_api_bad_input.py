"""Rejected requests: always a 4xx that names the field, never a value of the request."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

GOOD: dict[str, Any] = {"user_id": "user_1", "merchant_id": "merchant_1", "transaction_amount": 9.5}
JSON = {"content-type": "application/json"}


def post(api: TestClient, content: str | bytes, path: str = "/predict") -> Any:
    return api.post(path, content=content, headers=JSON)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_amount", float("nan")),
        ("transaction_amount", float("inf")),
        ("transaction_amount", float("-inf")),
        ("transaction_amount", 0),
        ("transaction_amount", -1.5),
        ("transaction_amount", 1e300),
        ("transaction_amount", 10**400),
        ("transaction_amount", "12"),
        ("transaction_amount", True),
        ("transaction_amount", None),
        ("transaction_amount", [1]),
        ("user_id", ""),
        ("user_id", "u" * 129),
        ("user_id", 7),
        ("user_id", None),
        ("merchant_id", ""),
        ("merchant_id", "m" * 100_000),
        ("merchant_id", {"id": "m"}),
        ("timestamp", "yesterday"),
        ("timestamp", ""),
        ("timestamp", "2026-13-01T00:00:00Z"),
        ("timestamp", "2026-02-30"),
    ],
)
def test_a_wrong_field_is_named(shared_api: TestClient, field: str, value: Any) -> None:
    without = {name: content for name, content in GOOD.items() if name != field}
    for body in (GOOD | {field: value}, *([without] if field in GOOD else [])):
        answer = post(shared_api, json.dumps(body))
        assert answer.status_code == 422, answer.text
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]


def test_a_bad_row_of_a_batch_is_named_by_its_index(shared_api: TestClient) -> None:
    rows = [GOOD, GOOD, GOOD | {"transaction_amount": -1}, GOOD, {"user_id": "u"}]
    answer = post(shared_api, json.dumps({"transactions": rows}), "/predict/batch")
    assert answer.status_code == 422
    assert [error["loc"][2:] for error in answer.json()["detail"]] == [
        [2, "transaction_amount"],
        [4, "merchant_id"],
        [4, "transaction_amount"],
    ]


def test_a_batch_has_1_to_100_rows(shared_api: TestClient) -> None:
    for count in (0, 101):
        answer = post(shared_api, json.dumps({"transactions": [GOOD] * count}), "/predict/batch")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "transactions"]
    for count in (1, 100):
        answer = post(shared_api, json.dumps({"transactions": [GOOD] * count}), "/predict/batch")
        assert len(answer.json()["predictions"]) == count


NO_OBJECTS = (
    *(b"", b"{", b'{"user_id": "u', b"null", b"[]", b"7", b"\xff\xfe", b"NaN"),
    *(b"[" * 100_000, b'{"user_id": "\\ud800"}'),
)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_what_is_no_json_object_is_refused(shared_api: TestClient, path: str) -> None:
    for content in NO_OBJECTS:
        answer = post(shared_api, content, path)
        assert answer.status_code in (400, 422), content[:20]
        assert "body" in str(answer.json()["detail"])


def test_another_content_type_is_refused(shared_api: TestClient) -> None:
    for kind in ("", "text/plain", "application/x-www-form-urlencoded"):
        headers = {"content-type": kind}
        answer = shared_api.post("/predict", content=json.dumps(GOOD), headers=headers)
        assert answer.status_code == 415
        assert "Content-Type" in answer.json()["detail"]


def test_a_content_type_with_a_charset_is_taken(shared_api: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert shared_api.post("/predict", content=json.dumps(GOOD), headers=headers).status_code == 200


def in_chunks(megabytes: int) -> Any:
    yield from (b" " * 2**20 for _ in range(megabytes))


def test_a_large_body_is_refused_however_it_is_sent(production_api: TestClient) -> None:
    for content in (b" " * (10 * 2**20), in_chunks(10)):
        answer = production_api.post("/predict", content=content, headers=JSON)
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("body: ")


def test_good_timestamps(shared_api: TestClient) -> None:
    for moment in ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00+02:00", "2026-06-01 12:00:00.5"):
        assert post(shared_api, json.dumps(GOOD | {"timestamp": moment})).status_code == 200


def test_any_text_may_be_an_id(shared_api: TestClient) -> None:
    for name in ("user 1", "ü☕", "\0", "a\r\nGET /", "*", "' OR 1=1 --", "u" * 128):
        answer = post(shared_api, json.dumps(GOOD | {"user_id": name}))
        assert (answer.status_code, answer.json()["user_id"]) == (200, name)


def test_a_refusal_repeats_no_value_of_the_request(shared_api: TestClient) -> None:
    secret = GOOD | {"user_id": "secret-user" * 20, "transaction_amount": -123456.5}
    text = post(shared_api, json.dumps(secret)).text
    assert "secret-user" not in text
    assert "123456" not in text
