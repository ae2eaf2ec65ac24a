"""The load test: what it sends and when, what it counts, and where it refuses to go."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import aiohttp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from exercise_04_serving.production import load_test
from exercise_04_serving.production.load_report import Run, Sample, draw, percentiles, table
from exercise_04_serving.production.load_test import Client, closed_loop, load, open_loop
from exercise_04_serving.production.traffic import Traffic, headers, packed
from lab.errors import UserError
from lab.settings import settings
from tests.exercise_04.serving_shop import SECONDS
from tests.settings_in_force import PointSettings
from tests.waiting import eventually

pytestmark = pytest.mark.slow

PAYMENTS = [b'{"user_id": "u"}'] * 30

Reply = tuple[int, Mapping[str, str], bytes]
Script = Callable[[int], Reply | None]


def nothing() -> None:
    """Progress that no one watches."""


# ---- A service that does what a test tells it ------------------------------------------------


class Service(ThreadingHTTPServer):
    """Answers the POST of number n by `script(n)`; None closes the connection."""

    request_queue_size = 100

    def __init__(self, script: Script) -> None:
        super().__init__((settings.host, 0), Handler)
        self.script = script
        self.bodies: list[tuple[str, bytes]] = []

    @property
    def address(self) -> str:
        return f"http://{settings.host}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        self._reply((200, {}, b"{}"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.path, body))
        reply = self.server.script(len(self.server.bodies) - 1)
        if reply is None:
            self.close_connection = True
        else:
            self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        status, headers, body = reply
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def prediction(latency_ms: float = 7, model_ms: float | None = 2) -> Reply:
    timing = {} if model_ms is None else {"Server-Timing": f"total;dur=9, model;dur={model_ms}"}
    body = json.dumps({"latency_ms": latency_ms}).encode()
    return 200, {"Content-Type": "application/json", **timing}, body


@contextmanager
def service(script: Script = lambda _: prediction()) -> Iterator[Service]:
    with Service(script) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(server: Service, rate: float | None = None, connections: int = 4) -> Run:
    sent = load(server.address, PAYMENTS, connections=connections, rate=rate, tick=nothing)
    return asyncio.run(sent)


# ---- When requests are sent ------------------------------------------------------------------


class Silence:
    """A service that answers no one until it is told to."""

    def __init__(self) -> None:
        self.dues: list[float] = []
        self.speak = asyncio.Event()

    async def send(self, payment: bytes, due: float) -> Sample:
        self.dues.append(due)
        await self.speak.wait()
        return Sample(due, 0, 1)


def test_in_an_open_loop_each_request_has_its_moment_whatever_the_answers_do() -> None:
    async def scenario() -> tuple[float, list[float], int]:
        silence, began = Silence(), time.perf_counter()
        sending = asyncio.create_task(open_loop(silence.send, PAYMENTS, 2_000, began, nothing))
        async with asyncio.timeout(5):
            while len(silence.dues) < len(PAYMENTS):
                await asyncio.sleep(0)
        silence.speak.set()
        return began, silence.dues, len(await sending)

    began, dues, samples = asyncio.run(scenario())
    assert dues == [began + number / 2_000 for number in range(len(PAYMENTS))]
    assert samples == len(PAYMENTS)


def test_in_a_closed_loop_a_connection_waits_for_its_answer() -> None:
    async def scenario() -> tuple[int, int, int]:
        silence, ticks = Silence(), list[str]()
        tick = partial(ticks.append, "tick")
        sending = asyncio.create_task(closed_loop(silence.send, PAYMENTS, 7, tick))
        for _ in range(100):
            await asyncio.sleep(0)
        sent_in_silence = len(silence.dues)
        silence.speak.set()
        return sent_in_silence, len(await sending), len(ticks)

    assert asyncio.run(scenario()) == (7, len(PAYMENTS), len(PAYMENTS))


def test_latency_counts_from_the_moment_at_which_a_request_was_due() -> None:
    async def send_late(server: Service) -> Sample:
        async with aiohttp.ClientSession(server.address) as session:
            began = time.perf_counter() - 60
            return await Client(session, began).send(PAYMENTS[0], began + 10)

    with service() as server:
        sample = asyncio.run(send_late(server))
    assert sample.due_s == pytest.approx(10)
    assert sample.late_ms >= 50_000
    assert sample.client_ms >= sample.late_ms


@pytest.mark.parametrize("rate", [None, 3_000.0])
def test_every_payment_is_sent_once(rate: float | None) -> None:
    payments = packed([{"user_id": f"user_{number}"} for number in range(50)])
    with service() as server:
        sent = load(server.address, payments, connections=8, rate=rate, tick=nothing)
        asyncio.run(sent)
    assert Counter(server.bodies) == Counter(("/predict", payment) for payment in payments)


# ---- What is counted -------------------------------------------------------------------------


def test_the_three_latencies_are_told_apart() -> None:
    with service(lambda _: prediction(latency_ms=7, model_ms=2.5)) as server:
        latencies = run(server).latencies
    assert set(latencies["server"]) == {7}
    assert set(latencies["server, without inference"]) == {4.5}
    assert len(latencies["client"]) == len(PAYMENTS)


def test_a_server_that_does_not_tell_its_model_has_no_latency_without_it() -> None:
    with service(lambda _: prediction(model_ms=None)) as server:
        assert set(run(server).latencies) == {"client", "server"}


def test_errors_are_counted_by_kind_and_have_no_part_in_the_percentiles() -> None:
    replies: list[Reply | None] = [
        prediction(),
        (503, {}, b"busy"),
        (500, {"Content-Type": "text/html"}, b"<p>"),
        (200, {"Content-Type": "application/json"}, b"{"),
        None,
    ]
    with service(lambda number: replies[number % 5]) as server:
        measured = run(server, connections=1)
    assert measured.errors == {
        "status 503": 6,
        "status 500": 6,
        "JSONDecodeError": 6,
        "ServerDisconnectedError": 6,
    }
    assert len(measured.latencies["client"]) == 6
    assert "6 status 503" in measured.summary


def test_a_service_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_test, "TIMEOUT_S", 0.2)
    over = Event()

    def hang(_: int) -> None:
        over.wait()

    with service(hang) as server:
        assert run(server, connections=30).errors == {"no answer within 0.2 s": 30}
        over.set()


latencies = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=60)


@given(latencies, st.sampled_from([50, 90, 95, 99, 99.9]))
def test_a_percentile_is_the_least_sample_that_so_many_do_not_exceed(
    milliseconds: list[float], rank: float
) -> None:
    (found,) = percentiles(np.array(milliseconds), [rank])
    enough = [
        ms
        for ms in milliseconds
        if sum(other <= ms for other in milliseconds) >= rank / 100 * len(milliseconds)
    ]
    assert found == min(enough)


@pytest.mark.slow
@pytest.mark.parametrize("error", [None, "status 503"])
def test_a_run_is_drawn_also_when_all_failed(error: str | None, tmp_path: Path) -> None:
    samples = [Sample(n / 10, 0.1, 5 + n, 3, 1, error) for n in range(20)]
    draw(Run(samples, 2), tmp_path / "plots" / "run.png")
    assert (tmp_path / "plots" / "run.png").read_bytes().startswith(b"\x89PNG")
    assert table(Run(samples, 2)).row_count == (0 if error else 3)


# ---- Where it goes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://127.0.0.1.example.com:8000",
        "http://127.0.0.1@example.com",
        "http://10.0.0.1:8000",
        "http://localhost:8000",
        "127.0.0.1:8000",
    ],
)
def test_another_host_is_refused_before_anything_is_sent(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiohttp, "ClientSession", lambda *_, **__: pytest.fail("a request"))
    with pytest.raises(UserError, match=r"goes to 127\.0\.0\.1 only"):
        asyncio.run(load(address, PAYMENTS, connections=1, rate=None, tick=nothing))


def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    with service() as elsewhere:
        target = {"Location": f"{elsewhere.address}/predict", "Content-Type": "application/json"}
        with service(lambda _: (307, target, b"{}")) as server:
            assert run(server).errors == {"status 307": len(PAYMENTS)}
    assert elsewhere.bodies == []


def test_without_a_service_the_command_to_start_it_is_named() -> None:
    with service() as server:
        address = server.address
    with pytest.raises(UserError, match=r"(?s)no service answers.*production\.serve"):
        asyncio.run(load(address, PAYMENTS, connections=1, rate=None, tick=nothing))


# ---- What is sent ----------------------------------------------------------------------------


def traffic(seed: int = 1) -> Traffic:
    users, merchants = [f"user_{n}" for n in range(500)], [f"merchant_{n}" for n in range(20)]
    return Traffic(users, merchants, [1.5, 20.0], seed)


def test_the_busiest_ids_come_as_often_as_zipf_says() -> None:
    payments = traffic().payments(20_000)
    counts = Counter(payment["user_id"] for payment in payments)
    harmonic = sum(1 / rank for rank in range(1, 501))
    for rank in (1, 2, 5, 20):
        expected = 20_000 / harmonic / rank
        assert counts[f"user_{rank - 1}"] == pytest.approx(expected, abs=4 * expected**0.5)
    assert {payment["transaction_amount"] for payment in payments} == {1.5, 20.0}


def test_a_seed_repeats_the_payments_and_another_does_not() -> None:
    assert traffic().payments(50) == traffic().payments(50)
    assert traffic(seed=1).payments(50) != traffic(seed=2).payments(50)


def test_an_api_key_is_sent_where_one_is_set(point_settings: PointSettings) -> None:
    assert "X-API-Key" not in headers()
    point_settings(api_key=SecretStr("secret"))
    assert headers()["X-API-Key"] == "secret"


@pytest.fixture
def dataset(tmp_path: Path, point_settings: PointSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Raw transactions: user_2 pays most often, and one amount is not a payment."""
    users = ["user_1", "user_2", "user_2", "user_2", "user_3", "user_3"]
    rows = {"user_id": users, "merchant_id": ["merchant_1"] * 6, "amount": [1, 2, 3, 4, 5, 0.0]}
    pd.DataFrame(rows).to_parquet(tmp_path / "transactions.parquet")
    point_settings(data_dir=tmp_path, build_dir=tmp_path)
    monkeypatch.setattr(load_test, "PLOT", tmp_path / "load_test.png")
    return tmp_path


def test_real_ids_are_ranked_by_how_often_they_pay(dataset: Path) -> None:
    real = Traffic.of_dataset()
    assert real.users == ["user_2", "user_3", "user_1"]
    assert 0 not in real.amounts


def test_without_data_the_command_to_make_them_is_named(dataset: Path) -> None:
    (dataset / "transactions.parquet").unlink()
    with pytest.raises(UserError, match=r"(?s)transactions.parquet is missing.*lab run 1"):
        Traffic.of_dataset()


# ---- As a learner runs it --------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_says_what_it_measured_and_fails_when_a_request_did(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with service() as server:
        load_test.main(rate=400, seconds=0.1, address=server.address)
    said = capsys.readouterr().out
    assert "without" in said
    assert "errors: none" in said
    assert (dataset / "load_test.png").exists()
    with (
        service(lambda _: (503, {"Content-Type": "application/json"}, b"{}")) as server,
        pytest.raises(SystemExit, match="1"),
    ):
        load_test.main(closed=True, requests=20, connections=5, address=server.address)
    assert "errors: 20 status 503" in capsys.readouterr().out


@contextmanager
def locust(dataset: Path, host: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "locust", "-f", "exercise_04_serving/production/locustfile.py"]
    options = ["--headless", "--users", "2", "--spawn-rate", "2", "--host", host]
    process = subprocess.Popen(
        [*command, *options],
        cwd=settings.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_locust_sends_the_same_payments(dataset: Path) -> None:
    with service() as server, locust(dataset, server.address) as process:
        eventually(lambda: "/predict" in [path for path, _ in server.bodies])
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    singles = [json.loads(body) for path, body in server.bodies if path == "/predict"]
    assert {payment["user_id"] for payment in singles} <= {"user_1", "user_2", "user_3"}


@pytest.mark.slow
def test_locust_refuses_another_host(dataset: Path) -> None:
    with locust(dataset, "http://192.0.2.1") as process:
        shown, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "goes to 127.0.0.1 only" in said
    assert "POST" not in shown
