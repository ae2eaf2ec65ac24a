"""Workers of the API, replaced one after the other under load."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event

import httpx
import pytest

from lab.settings import settings, utc_now
from tests.exercise_04.conftest import save_a_model
from tests.exercise_04.serving_shop import SECONDS, Body, LiveApi, live_api, payments
from tests.exercise_04.test_api_cache import FEATURE, RUNS, USER_VIEW, set_feature
from tests.exercise_04.test_serving_failures_workers import total
from tests.scale.faults import repeated
from tests.settings_in_force import settings_in_force
from tests.shop import NewShop, Shop, Size
from tests.waiting import eventually

pytestmark = pytest.mark.scale

WORKERS, CLIENTS, PACE_S, RESTART_S = 2, 2, 0.1, 400


@pytest.fixture
def shop(new_shop: NewShop) -> Iterator[Shop]:
    """Yield a shop with features in Redis and a model; the settings point to it."""
    from exercise_03_materialize.materialize import initial_materialization

    shop = new_shop(Size(as_of=utc_now(), history=timedelta(days=60)))
    with settings_in_force(**shop.settings):
        initial_materialization(days_back=30)
        save_a_model(settings.model_dir)
        yield shop


def predict(api: LiveApi, payment: Body) -> httpx.Response:
    with httpx.Client(base_url=api.url, timeout=SECONDS) as fresh:  # of any worker
        return fresh.post("/predict", json=payment)


def test_workers_are_replaced_without_an_error(shop: Shop, tmp_path: Path) -> None:
    with live_api(tmp_path / "api.log", api_workers=WORKERS) as api:
        first, bodies, draw, statuses = api.workers, payments(200), Random(7), list[int]()

        def load() -> None:
            statuses.append(predict(api, draw.choice(bodies)).status_code)
            Event().wait(PACE_S)

        with ExitStack() as running:
            for _ in range(CLIENTS):
                running.enter_context(repeated(load))
            api.process.send_signal(signal.SIGHUP)
            eventually(lambda: len({*api.workers} - {*first}) == WORKERS, RESTART_S)
            eventually(lambda: not {*api.workers} & {*first})
        print(f"{len(statuses)} requests while {WORKERS} workers were replaced")
        assert set(statuses) == {200}
        assert {total(api) for _ in range(20)} == {len(statuses)}

        set_feature(shop.redis.client(), bodies[0]["user_id"], USER_VIEW, FEATURE, {"int64_val": 9})
        shop.redis.client().incr(RUNS)
        answers = [lambda: predict(api, bodies[0]).json()["features"][FEATURE]] * 20
        eventually(lambda: {answer() for answer in answers} == {9})
