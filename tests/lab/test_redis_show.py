"""`lab redis show` prints the hash of an entity that Feast wrote."""

import re
import subprocess

import pytest
from redis import Redis
from typer.testing import CliRunner

from checker.cli import app
from lab.errors import UserError
from lab.learn import as_of, open_store
from lab.redis_show import show
from tests.settings_in_force import PointSettings
from tests.shop import AS_OF, NewShop, Shop, Size

VIEW = "user_transaction_features"


@pytest.fixture
def shop(new_shop: NewShop, point_settings: PointSettings) -> Shop:
    """Return a shop to which the settings point, with one view in its Redis."""
    shop = new_shop(Size())
    shop.restore()
    point_settings(**shop.settings, as_of=AS_OF)
    open_store().materialize(AS_OF.replace(year=AS_OF.year - 1), as_of(), feature_views=[VIEW])
    return shop


def test_the_values_are_those_that_feast_reads(shop: Shop) -> None:
    feature = "transaction_count_7d"
    read = open_store().get_online_features([f"{VIEW}:{feature}"], [{"user_id": "user_0"}])
    lines = list(show("user_0"))
    assert lines[0] == "user_id user_0: a hash of 5 fields"
    (shown,) = (line for line in lines if feature in line)
    assert shown.split()[1:] == [feature, str(read.to_dict()[feature][0])]
    assert "  user_streaming_features: not in Redis" in lines
    assert re.fullmatch(r"  TTL of the key, which all its views share: \d+ days, .* left", lines[2])


def test_the_printed_command_reads_the_hash(shop: Shop) -> None:
    (command,) = (line for line in show("user_0") if "redis-cli" in line)
    done = subprocess.run(command, shell=True, capture_output=True, check=True, timeout=30)
    assert b"_ts:user_transaction_features" in done.stdout


def test_the_scan_of_the_errata_finds_the_key(shop: Shop) -> None:
    pattern = ["--no-raw", "--scan", "--pattern", "*user_0ml_platform_features"]
    command = ["redis-cli", "-p", str(shop.redis.port), *pattern]
    found = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    assert found.count(b"user_0ml_platform_features") == 1


def test_an_error_of_the_read_is_raised(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a text that is no key of numbers means that a view has no such entity."""

    def broken(*_: object) -> None:
        raise ValueError("not a reply of Redis")

    monkeypatch.setattr(Redis, "hgetall", broken)
    with pytest.raises(ValueError, match="not a reply"):
        list(show("user_0"))


def test_an_entity_that_redis_lacks_is_one_sentence(shop: Shop) -> None:
    result = CliRunner().invoke(app, ["redis", "show", "user_nobody"])
    assert isinstance(result.exception, UserError)
    assert "has no row of user_nobody" in str(result.exception)
