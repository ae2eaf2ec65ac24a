"""Redis is killed under load and loses all it had; the other drills are tested with the job's."""

import pytest

from exercise_05_streaming.production.drills.__main__ import run

pytestmark = pytest.mark.kafka


def test_a_redis_without_its_data_is_filled_again() -> None:
    run("redis_emptied")
