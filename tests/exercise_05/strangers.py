"""Records of foreign clients: hostile ones between good ones, by every codec and transaction."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from confluent_kafka import Producer

from exercise_05_streaming.topics import PARTITIONS, TRANSACTIONS
from tests.exercise_05.payments import milliseconds, payment
from tests.exercise_05.pipeline import Pipeline
from tests.exercise_05.tiles_by_hand import Event
from tests.waiting import PATIENCE_S

HOSTILE, GOOD_USERS, MEGABYTE = 1_000, 20, 900_000
CODECS = ("gzip", "snappy", "lz4", "zstd")
KINDS = (
    "null",
    "1",
    "-1",
    "1.5",
    "true",
    "false",
    '"x"',
    '""',
    "[]",
    "{}",
    '[1, "x"]',
    '{"a": "b"}',
)
AMOUNTS = (
    *('"12.5"', '" 12 "', '"1_000"', '"0x10"', '"+5"', '"' + "9" * MEGABYTE + '"', "9" * 999),
    *("0.005", "1.005", "1.00499999999999999999", "1e2", "1e400", "-1", "NaN", "1e10"),
    *("1e300000000", "1e-300000000", "9999999999.99", "0e99", "1e-99"),
    *("9999999999.995", "600.55e8", "998e-13", "100000000000000000e-15", "12345E-3"),
    *("-0", "-0.0", "Infinity", '"12,50"', '"007"'),
)
IDS = ("-0", "7.50e3", "1e400", '"\\u0000"', '"\\u202e"', '"e\\u0301"', "9" * 999)
# Yesterday's clock at midnight; the last two are right.
CLOCKS = (
    "24:00:00",
    "24:00:00Z",
    "23:59:60",
    "23:60:00",
    "023:5:59",
    "23:59:59.9999999",
    "23:59:59",
)
APPROVALS = ("true", "false", '"true"', '"false"', '"FALSE"', '"no"', "0", "1", "null", "[]", "{}")


def odd_times(now: datetime) -> Iterator[Any]:
    """Times of every form; the first three are right."""
    text = now.isoformat(timespec="milliseconds").removesuffix("+00:00")
    yield from (text, text + "Z", text.replace("T", " ") + "+00:00")
    yield from (text + "+02:00", text + " UTC", text + "\n", " " + text, text[:10], text[:16])
    yield from (text.replace("-0", "-"), text + "1234567", text[:19] + "12", text.lower())
    yield from ("2026-02-30T00:00:00", "2026-01-01T24:00:00", "999999-01-01T00:00:00")
    yield from ("now", "infinity", "epoch", "", now.timestamp(), milliseconds(now), None, [text])
    yield from ((now + timedelta(hours=hours)).isoformat() for hours in (-1_000, -1, 1, 2, 1_000))


def at_midnight(midnight: datetime) -> Iterator[bytes]:
    """Yield payments recorded at midnight."""
    day = (midnight - timedelta(days=1)).date()
    for clock in CLOCKS:
        yield json.dumps(payment("odd", midnight) | {"event_time": f"{day}T{clock}"}).encode()


def beyond_flink(now: datetime) -> Iterator[bytes]:
    """Yield records that Flink's JSON format reads otherwise than the solution's verify.py.

    Production's job and its recomputation agree on them, too.
    """
    whole = json.dumps(payment("odd", now))
    for bad in (b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xed\xa0\xbd\xed\xb8\x80"):  # no UTF-8
        yield whole[:-1].encode() + b', "x": "' + bad + b'"}'
    for more in (
        '"x": "\\ud83d"',
        '"\\ud83d": 1',
        '"transaction_id": "\\ud83d"',
        f'"{"x" * 60_000}": 1',
    ):
        yield f"{whole[:-1]}, {more}}}".encode()
    yield whole.replace("odd", "odd\\ud83d").encode()
    for digits in (1_001, 5_000):
        for number in ("9" * digits, f"1.{'9' * digits}"):
            yield f'{whole[:-1]}, "x": {number}}}'.encode()
    for depth in (99, 100, 950, 999):  # the object itself is one more
        yield f'{whole[:-1]}, "x": {"[" * depth}{"]" * depth}}}'.encode()


def odd_records(now: datetime) -> Iterator[bytes | None]:
    """Yield a record of each kind that is easily parsed wrongly."""
    whole = json.dumps(payment("odd", now))
    yield from (None, b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf" + whole.encode())
    yield from (whole.encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32-be"))
    yield whole.replace("odd", "odd\xff").encode("latin-1")
    yield from (kind.encode() for kind in (*KINDS, "nope", whole[:-1]))
    for text in (
        f"[{whole}]",
        f"[7, {whole}]",
        f"[{whole}, 7, {whole}]",
        f"[{whole}, {whole[:-1]}",
        f"{whole} x",
        whole * 2,
        f"{whole}\n",
        f"{whole}}}",
        f"{whole}, {whole}",
        f"/**/{whole}",
        f"{whole[:-1]},}}",
    ):
        yield text.encode()
    for more in ('"amount": 2', '"amount": null', '"user_id": null', '"x": NaN', '"x": "\t"'):
        yield f"{whole[:-1]}, {more}}}".encode()
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 500 + "]" * 500, f'"{"x" * MEGABYTE}"'):
        yield text.encode()
        yield f'{whole[:-1]}, "x": {text}}}'.encode()
    for name, value in payment("odd", now).items():
        for kind in KINDS:
            yield whole.replace(f'"{name}": {json.dumps(value)}', f'"{name}": {kind}').encode()
    for user in ("x" * MEGABYTE, "x" * 257, "x" * 256, "\u0000", "ünï \U0001f600 '\"\\"):
        yield json.dumps(payment(user, now)).encode()
    for time in odd_times(now):
        yield json.dumps(payment("odd", now) | {"event_time": time}).encode()
    yield from (whole.replace('"amount": 1', f'"amount": {text}').encode() for text in AMOUNTS)
    for text in IDS:
        yield whole.replace('"odd"', text).encode()
        yield f'{whole[:-1]}, "transaction_id": {text}}}'.encode()
    for approval in APPROVALS:
        yield whole.replace('"is_approved": true', f'"is_approved": {approval}').encode()


def fuzzed(random: Random, now: datetime) -> bytes:
    """Return a payment with some bytes changed, added or cut, or random bytes."""
    record = bytearray(json.dumps(payment(f"fuzz_{random.randrange(9)}", now)).encode())
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(record))
        record[at : at + random.randint(0, 3)] = random.randbytes(random.randint(0, 3))
    return random.choice([bytes(record), bytes(record[: len(record) // 2]), random.randbytes(40)])


def hostile_records(seed: int, now: datetime, floor: str) -> list[tuple[bytes | None, datetime]]:
    """Return a thousand records that may be anything, in random order, and their record times."""
    random, midnight = Random(seed), now.replace(hour=0, minute=0, second=0, microsecond=0)
    records: list[tuple[bytes | None, datetime]] = [(record, now) for record in odd_records(now)]
    records += [(record, midnight) for record in at_midnight(midnight)]
    if floor == "production":
        records += [(record, now) for record in beyond_flink(now)]
    records += [(fuzzed(random, now), now) for _ in range(HOSTILE - len(records))]
    random.shuffle(records)
    return records


def good_event(number: int, now: datetime) -> tuple[dict[str, Any], Event]:
    """Return a payment in the contract's form, and what it counts."""
    user, cents, declined = f"good_{number % GOOD_USERS}", 100 + number, number % 7 == 0
    event = payment(user, now, merchant_id="m", amount=cents / 100, is_approved=not declined)
    event |= {"transaction_id": f"good {number}", "event_time": event["event_time"].split("+")[0]}
    return event, Event(user, milliseconds(now), cents, declined)


def send_strangers(pipeline: Pipeline, seed: int, now: datetime, floor: str) -> list[Event]:
    """Send hostile records, a good one after each, by every codec; return the good ones' events."""
    pipeline.set_option(TRANSACTIONS, "compression.type", "producer")  # a batch stays as it is sent
    bootstrap = pipeline.broker.bootstrap
    options = {"bootstrap.servers": bootstrap, "message.max.bytes": 2 * MEGABYTE}
    clients = [Producer(options | {"compression.type": codec}) for codec in CODECS]
    events = []
    for number, (record, moment) in enumerate(hostile_records(seed, now, floor)):
        client = clients[number % len(clients)]
        good, event = good_event(number, now)
        events.append(event)
        odd: dict[str, Any] = {"key": b"\xff", "headers": [("trace", b"\xff\x00"), ("empty", None)]}
        place: dict[str, Any] = {
            "partition": number % PARTITIONS,
            "timestamp": milliseconds(moment),
        }
        client.produce(TRANSACTIONS, record, **place, **odd)
        place["timestamp"] = milliseconds(now)
        client.produce(TRANSACTIONS, json.dumps(good).encode(), **place)  # without a key
    assert sum(client.flush(PATIENCE_S) for client in clients) == 0
    send_transactions(bootstrap, now)
    return [*events, Event("committed", milliseconds(now), 100, False)]


def send_transactions(bootstrap: str, now: datetime) -> None:
    """Send a payment in an aborted transaction, and one in a committed one."""
    options = {"bootstrap.servers": bootstrap, "transactional.id": "till"}
    client = Producer(options)
    client.init_transactions(PATIENCE_S)
    for user, end in (
        ("aborted", client.abort_transaction),
        ("committed", client.commit_transaction),
    ):
        client.begin_transaction()
        value = json.dumps(payment(user, now)).encode()
        client.produce(TRANSACTIONS, value, partition=0, timestamp=milliseconds(now))
        assert client.flush(PATIENCE_S) == 0
        end(PATIENCE_S)
