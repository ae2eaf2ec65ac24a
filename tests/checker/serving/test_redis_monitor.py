"""Commands between our marks are recorded, whatever other clients send meanwhile."""

from checker.serving.redis_monitor import monitored
from lab.stack.redis import RedisServer


def test_a_mark_that_another_client_repeats_is_none(server: RedisServer) -> None:
    with (
        server.client() as other,
        server.client() as ear,
        ear.monitor() as listening,
        monitored(server) as monitor,
    ):
        other.hget("before", "a")
        monitor.mark()
        commands = (entry["command"] for entry in listening.listen())
        token = next(words for words in commands if words.startswith("ECHO")).split()[1]
        other.echo(token)
        other.echo(f"{token} end")
        other.hget("a", "b")
        monitor.mark()
        other.hget("c", "d")
        groups = monitor.groups()
    read = [[c.arguments for c in group if c.name == "HGET"] for group in groups]
    assert read == [[(b"a", b"b")], [(b"c", b"d")]]
