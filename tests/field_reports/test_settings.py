"""LAB_* variables as people set them: addresses of servers that they run, and mistakes."""

import pytest

from checker import cli
from lab.settings import Settings

# Hosting services print Redis as a URL and Kafka as bootstrap servers, and Compose files do.
ADDRESSES = [
    ("LAB_REDIS_PORT", "6390", "redis_port", 6390),
    ("LAB_REDIS_URL", "redis://localhost:6390", "redis_port", 6390),
    ("LAB_REDIS_URL", "redis://127.0.0.1:6390/0", "redis_port", 6390),
    ("LAB_REDIS_URL", "redis://localhost", "redis_port", 6379),
    ("LAB_KAFKA_BOOTSTRAP", "127.0.0.1:9192", "kafka_port", 9192),
    ("LAB_KAFKA_BOOTSTRAP", "localhost:9192", "kafka_port", 9192),
    ("LAB_KAFKA_BOOTSTRAP", "PLAINTEXT://localhost:9192", "kafka_port", 9192),
    ("LAB_REDIS_URL", " redis://localhost:6390\n", "redis_port", 6390),
    ("LAB_REDIS_URL", "", "redis_port", 6379),  # Compose: an unset variable is empty
]
MISTAKES = [
    ("LAB_REDIS_PORT", "abc", "valid integer"),
    ("LAB_REDIS_URL", "rediss://localhost:6390", "without TLS, password and database number"),
    ("LAB_REDIS_URL", "redis://:secret@localhost:6390", "without TLS, password"),
    ("LAB_REDIS_URL", "redis://localhost:6390/3", "database number"),
    ("LAB_REDIS_URL", "redis://redis.example.org:6379", "redis.example.org is not 127.0.0.1"),
    ("LAB_KAFKA_BOOTSTRAP", "localhost:", "the port is missing"),
    ("LAB_KAFKA_BOOTSTRAP", "a:9092,b:9092", "one address"),
    ("LAB_KAFKA_BOOTSTRAP", "localhost:99999", "Port out of range"),
    ("LAB_KAFKA_BOOTSTRAP", "localhost:0", "greater than or equal to 1"),
    ("LAB_KAFKA_BOOTSTRAP", "localhost", "an address such as 127.0.0.1:9092"),
    ("LAB_KAFKA_BOOTSTRAP", ":9092", "a missing host is not 127.0.0.1"),
    ("LAB_KAFKA_BOOTSTRAP", "SASL_SSL://localhost:9092", "without TLS, password"),
    ("LAB_REDIS_URL", "redis://localhost:6390?db=3", "database number"),
    ("LAB_REDIS_PORT", "65536", "less than or equal to 65535"),
    ("LAB_API_PORT", "0", "greater than or equal to 1"),
    ("LAB_STACK_TIMEOUT_S", "inf", "finite number"),
    ("LAB_SOCKET_TIMEOUT_S", "0", "greater than 0"),
    ("LAB_AS_OF", "yesterday", "valid datetime"),
    ("LAB_AS_OF", "2026-01-01T00:00:00", "timezone"),
    ("LAB_AS_OF", "9999-12-31T00:00:00Z", "less than or equal to 2200"),
    ("LAB_AS_OF", "0001-01-01T00:00:00Z", "greater than or equal to 1971"),
    ("LAB_API_WORKERS", "0", "greater than or equal to 1"),
]


@pytest.mark.parametrize(("variable", "value", "field", "port"), ADDRESSES)
def test_an_address_is_read(
    variable: str, value: str, field: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(Settings.from_environment(), field) == port


@pytest.mark.parametrize(("variable", "value", "reason"), MISTAKES)
def test_a_mistake_is_one_sentence(
    variable: str,
    value: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        Settings.from_environment()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith(f"error: {variable} has a wrong value: ")
    assert reason in printed.err
    assert printed.err.endswith(f"\n  next: unset {variable}\n")
    assert "secret" not in printed.err


@pytest.mark.parametrize("known", ["LAB_redis_port", "LAB_KAFKA_BOOTSTRAP", "LAB_ISOLATION"])
def test_a_variable_that_is_no_setting_is_a_warning(
    known: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lab", "--help"])
    for name in (known, "LAB_REDIS_PROT"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr().err
    assert printed == "warning: LAB_REDIS_PROT is no setting; the nearest is LAB_REDIS_PORT\n"
