"""The online reader and its Redis: one round trip, bounded waits, lost connections."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feast_plugins.online_errors import RedisTimeout, RedisUnavailable
from feast_plugins.online_reader import OnlineReader
from feast_plugins.read_plan import Rows
from feast_plugins.redis_address import reader_options
from feast_plugins.redis_encoding import entity_key
from feast_plugins.redis_threads import POOL_SIZE
from lab.stack.redis import RedisServer, private_redis
from tests.feast_plugins.online_reader_repo import NOW, PROJECT, Repo
from tests.redis_proxy import RedisProxy, redis_proxy
from tests.waiting import eventually

USERS = [f"u{n}" for n in range(40)]
OPTIONS = ",db=3,password=secret,protocol=3,client_name=shop,socket_timeout=9,max_connections=1"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def repo(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = Repo(tmp_path_factory.mktemp("repo"), server)
    for n, user in enumerate(USERS):
        made.write("stats", {"user_id": user}, {"count": n, "mean": n / 2})
        made.write("forever", {"user_id": user}, {"word": f"word {n}"})
    made.write("shelves", {"shelf_id": 1}, {"items": 3})
    return made


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[RedisProxy]:
    with redis_proxy(server.port) as started:
        yield started


def opened(
    repo: Repo, port: int, service: str = "stats", timeout_s: float = 5.0, options: str = ""
) -> OnlineReader:
    config = repo.config_at(f"127.0.0.1:{port}{options}")
    return OnlineReader.open(config, service, timeout_s=timeout_s, now=lambda: NOW)


@pytest.fixture
def reader(repo: Repo, proxy: RedisProxy) -> Iterator[OnlineReader]:
    with opened(repo, proxy.port) as made:
        yield made


def count_of(reader: OnlineReader, user: str) -> object:
    return reader.read({"user_id": [user]}).values["count"][0]


async def count_of_async(reader: OnlineReader, user: str) -> object:
    return (await reader.read_async({"user_id": [user]})).values["count"][0]


async def sent(
    reader: OnlineReader, proxy: RedisProxy, users: Sequence[str]
) -> list[asyncio.Task[object]]:
    """Return tasks that have each sent a command, while the proxy holds the replies."""
    proxy.hold_replies()
    before = proxy.reads
    reads = [asyncio.create_task(count_of_async(reader, user)) for user in users]
    await asyncio.to_thread(eventually, lambda: proxy.reads == before + len(users))
    return reads


# ---- One round trip --------------------------------------------------------------------------


def test_many_rows_and_views_take_one_round_trip(
    repo: Repo, server: RedisServer, proxy: RedisProxy
) -> None:
    client = server.client()
    rows: Rows = {"user_id": [*USERS[:5], *USERS[:5]], "shop_id": [1] * 10, "shelf_id": [1, 2] * 5}
    with opened(repo, proxy.port, "entities") as reader:
        reader.read(rows)
        client.config_resetstat()
        before = proxy.round_trips
        reader.read(rows)
    assert proxy.round_trips == before + 1
    # Five pairs of user and shop, two shelves, five users: each is queried once.
    assert client.info("commandstats")["cmdstat_hmget"]["calls"] == 12


def test_views_of_one_entity_share_a_command(repo: Repo, server: RedisServer) -> None:
    client = server.client()
    with opened(repo, server.port, "expiring") as reader:
        client.config_resetstat()
        reader.read({"user_id": ["u1"]})
    assert client.info("commandstats")["cmdstat_hmget"]["calls"] == 1


def test_a_request_larger_than_any_buffer(reader: OnlineReader) -> None:
    users = [f"user {n} {'x' * 200}" for n in range(20_000)]
    users[::1000] = USERS[:20]
    answer = reader.read({"user_id": users})
    assert answer.values["count"][::1000] == list(range(20))
    assert answer.values["count"][1::1000] == [None] * 20


# ---- Many at once ----------------------------------------------------------------------------


def test_threads_share_a_bounded_pool(reader: OnlineReader, proxy: RedisProxy) -> None:
    with ThreadPoolExecutor(3 * POOL_SIZE) as threads:
        counts = list(threads.map(lambda user: count_of(reader, user), USERS * 20))
    assert counts == list(range(40)) * 20
    assert proxy.connections <= POOL_SIZE


async def test_tasks_share_a_bounded_pool(reader: OnlineReader, proxy: RedisProxy) -> None:
    counts = await asyncio.gather(*(count_of_async(reader, user) for user in USERS * 20))
    assert counts == list(range(40)) * 20
    assert proxy.connections <= POOL_SIZE


async def test_a_cancelled_task_leaves_the_others_their_answers(
    reader: OnlineReader, proxy: RedisProxy
) -> None:
    await count_of_async(reader, "u0")
    reads = await sent(reader, proxy, USERS[:5])
    reads[2].cancel()
    proxy.release_replies()
    counts = await asyncio.gather(*reads, return_exceptions=True)
    assert isinstance(counts[2], asyncio.CancelledError)
    assert [*counts[:2], *counts[3:]] == [0, 1, 3, 4]
    assert reader.state.retries == 0


def test_one_reader_serves_several_event_loops(reader: OnlineReader) -> None:
    assert [asyncio.run(count_of_async(reader, user)) for user in ("u1", "u2")] == [1, 2]


# ---- Redis down, slow, or back ---------------------------------------------------------------


async def test_redis_stopped_and_started_again(repo: Repo, tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as server, opened(repo, server.port) as reader:
        assert (await count_of_async(reader, "u1"), count_of(reader, "u1")) == (None, None)
        server.stop()
        unavailable = rf"Redis at 127.0.0.1:{server.port} cannot be read: "
        with pytest.raises(RedisUnavailable, match=unavailable):
            await count_of_async(reader, "u1")
        with pytest.raises(RedisUnavailable, match=unavailable):
            count_of(reader, "u1")
        server.start()
        assert (await count_of_async(reader, "u1"), count_of(reader, "u1")) == (None, None)


def test_a_connection_that_was_lost_before_or_during_a_read_is_replaced(
    reader: OnlineReader, proxy: RedisProxy
) -> None:
    count_of(reader, "u1")
    proxy.cut()
    assert count_of(reader, "u2") == 2
    assert (reader.state.retries, proxy.connections) == (1, 2)
    proxy.hold_replies()
    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(count_of, reader, "u3")
        eventually(lambda: proxy.reads == 3)
        proxy.cut()
        proxy.release_replies()
        assert read.result() == 3
    assert (reader.state.retries, proxy.connections) == (2, 3)


async def test_what_was_sent_on_a_lost_connection_is_sent_once_more(
    reader: OnlineReader, proxy: RedisProxy
) -> None:
    await count_of_async(reader, "u0")
    reads = await sent(reader, proxy, USERS[:3])
    proxy.cut()
    proxy.release_replies()
    assert await asyncio.gather(*reads) == [0, 1, 2]
    assert (reader.state.retries, proxy.connections) == (3, 6)


def test_a_slow_redis_is_not_waited_for(repo: Repo, proxy: RedisProxy) -> None:
    with opened(repo, proxy.port, timeout_s=0.2) as reader:
        assert count_of(reader, "u1") == 1
        proxy.hold_replies()
        with pytest.raises(RedisTimeout, match=r"did not answer within 0.2 s"):
            count_of(reader, "u2")
        proxy.release_replies()
        assert count_of(reader, "u3") == 3  # and not the late answer for u2


async def test_tasks_do_not_wait_for_a_slow_redis(repo: Repo, proxy: RedisProxy) -> None:
    with opened(repo, proxy.port, timeout_s=0.2) as reader:
        await count_of_async(reader, "u0")
        proxy.hold_replies()
        reads = (count_of_async(reader, user) for user in USERS)
        late = await asyncio.gather(*reads, return_exceptions=True)
        proxy.release_replies()
        assert await count_of_async(reader, "u3") == 3
    assert {type(error) for error in late} == {RedisTimeout}


def test_threads_that_find_no_free_connection_wait_no_longer(repo: Repo, proxy: RedisProxy) -> None:
    with opened(repo, proxy.port, timeout_s=0.2) as reader:
        proxy.hold_replies()
        with ThreadPoolExecutor(POOL_SIZE + 1) as threads:
            reads = [threads.submit(count_of, reader, "u1") for _ in range(POOL_SIZE + 1)]
        assert {type(read.exception()) for read in reads} <= {RedisTimeout, RedisUnavailable}


# ---- What Redis may refuse -------------------------------------------------------------------


async def test_a_refused_command_fails_alone(reader: OnlineReader, server: RedisServer) -> None:
    server.client().set(entity_key(PROJECT, "user_id", "text"), "not a hash")
    reads = [count_of_async(reader, user) for user in ("u1", "text", "u2")]
    first, refused, last = await asyncio.gather(*reads, return_exceptions=True)
    assert (first, last) == (1, 2)
    assert isinstance(refused, RedisUnavailable)
    assert "WRONGTYPE" in str(refused)
    with pytest.raises(RedisUnavailable, match="WRONGTYPE"):
        count_of(reader, "text")
    assert count_of(reader, "u3") == 3


async def test_redis_pys_options_are_in_force(repo: Repo, tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as server:
        client = server.client()
        client.config_set("requirepass", "secret")
        with opened(repo, server.port) as reader:
            with pytest.raises(RedisUnavailable, match="Authentication required"):
                count_of(reader, "u1")
            with pytest.raises(RedisUnavailable, match="Authentication required"):
                await count_of_async(reader, "u1")
        with opened(repo, server.port, options=OPTIONS) as reader:
            assert count_of(reader, "u1") is None
            assert await count_of_async(reader, "u1") is None
            client.execute_command("AUTH", "secret")
            names = {known["db"]: known["name"] for known in client.client_list()}
            assert names["3"] == "shop"


@pytest.mark.parametrize(
    ("connection_string", "message"),
    [
        ("h:6379,colour=blue", "cannot be used: .*'colour'"),
        ("h:6379,127.0.0.1:7000", "2 nodes"),
        ("h:6379,db=x", "cannot be used"),
        ("unix:///tmp/redis.sock", "a Unix socket is not supported; give host:port"),
        ("h:6379,ssl=true,ssl_cert_reqs=CERT_NONE", "cannot be used: Invalid SSL.*CERT_NONE"),
        ("http://h:6379", "cannot be used"),
    ],
)
def test_an_address_that_is_not_supported_is_refused(
    repo: Repo, connection_string: str, message: str
) -> None:
    with pytest.raises(RedisUnavailable, match=message):
        OnlineReader.open(repo.config_at(connection_string), "stats")


def test_a_password_may_look_like_a_url() -> None:
    assert reader_options("h:6379,password=a://b") == ([("h", 6379)], {"password": "a://b"})


@pytest.mark.parametrize(
    ("options", "is_checked"),
    [
        ("", True),
        (",ssl_check_hostname=false", False),
        (",ssl_cert_reqs=optional", False),
        (",ssl_cert_reqs=optional,ssl_check_hostname=true", True),
        (",ssl_cert_reqs=none,ssl_check_hostname=true", False),
    ],
)
def test_the_host_name_is_checked_as_configured(options: str, is_checked: bool) -> None:
    _, found = reader_options(f"h:6379,ssl=true{options}")
    assert found["ssl_check_hostname"] == is_checked
