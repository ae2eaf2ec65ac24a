"""The same payments by Locust, which adds and removes users while it runs, in a browser.

locust -f exercise_04_serving/production/locustfile.py        # then http://127.0.0.1:8089
locust -f exercise_04_serving/production/locustfile.py --headless --users 50 --run-time 30s
"""

import logging
import sys
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

from exercise_04_serving.production.traffic import Traffic, headers
from lab.settings import settings

PAYMENTS, BATCH = 20_000, 20

payments = cycle(Traffic.of_dataset().payments(PAYMENTS))


@events.test_start.add_listener
def only_here(environment: Environment, **_: Any) -> None:
    """End before the first request when the host is another machine."""
    if urlsplit(environment.host or Customer.host).hostname != settings.host:
        logging.error("a load test goes to %s only, not to %s", settings.host, environment.host)
        sys.exit(2)


class Customer(FastHttpUser):
    """Ten payments a second, one in twenty of them as a batch."""

    host = settings.api_url
    wait_time = constant_throughput(10)

    @task(19)
    def pay(self) -> None:
        self.client.post("/predict", json=next(payments), headers=headers())

    @task(1)
    def pay_many(self) -> None:
        batch = [next(payments) for _ in range(BATCH)]
        self.client.post("/predict/batch", json={"transactions": batch}, headers=headers())
