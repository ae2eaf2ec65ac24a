"""The disk that a submission's Kafka takes."""

from pathlib import Path

import pytest

from checker.sandbox.sandbox import Sandbox
from checker.streaming.topic import bytes_on_disk


def test_a_sparse_file_takes_no_more_than_it_holds(tmp_path: Path) -> None:
    (tmp_path / "transactions-0").mkdir()
    (tmp_path / "transactions-0" / "log").write_bytes(b"a" * 100_000)
    with (tmp_path / "transactions-0" / "index").open("wb") as index:
        index.truncate(2**30)
    assert 100_000 <= bytes_on_disk(tmp_path) < 2**20


@pytest.mark.kafka
def test_a_broker_leaves_nothing_to_the_next_submission(box: Sandbox) -> None:
    data = box.kafka().data
    assert bytes_on_disk(data) > 0
    box.close_children()
    assert not data.exists()
