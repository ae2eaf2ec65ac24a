"""Flink writes each user's five minutes to a topic of Kafka; a thread keeps them in hashes."""

import json
import os
import threading
from datetime import datetime, timedelta

import redis
from kafka import KafkaConsumer
from pyflink.table import EnvironmentSettings, TableEnvironment

KAFKA = f"localhost:{os.environ['LAB_KAFKA_PORT']}"
SETTINGS = {
    "parallelism.default": "2",
    "table.local-time-zone": "UTC",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "5000",
    "table.exec.state.ttl": "6 h",
    "table.exec.sink.upsert-materialize": "NONE",
}
SOURCE = f"""
    CREATE TABLE payments (
        user_id STRING,
        amount DECIMAL(18, 2),
        is_approved BOOLEAN,
        event_time TIMESTAMP(3),
        sent_at TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL
    ) WITH (
        'connector' = 'kafka', 'topic' = 'transactions',
        'properties.bootstrap.servers' = '{KAFKA}',
        'scan.startup.mode' = 'earliest-offset',
        'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
    )
"""
SINK = f"""
    CREATE TABLE five_minutes (
        user_id STRING,
        start_of TIMESTAMP(3),
        payments BIGINT,
        declined BIGINT,
        cents BIGINT,
        highest BIGINT,
        PRIMARY KEY (user_id, start_of) NOT ENFORCED
    ) WITH (
        'connector' = 'upsert-kafka', 'topic' = 'five_minutes',
        'properties.bootstrap.servers' = '{KAFKA}',
        'key.format' = 'json', 'value.format' = 'json'
    )
"""
# No watermark: whenever the topic is read again, the same payments are late.
COUNT = """
    INSERT INTO five_minutes
    SELECT
        user_id,
        start_of,
        COUNT(*),
        COUNT(*) FILTER (WHERE NOT is_approved),
        SUM(cents),
        MAX(cents)
    FROM (
        SELECT
            user_id,
            is_approved,
            CAST(amount * 100 AS BIGINT) AS cents,
            TIMESTAMPADD(
                MINUTE,
                -MOD(EXTRACT(MINUTE FROM event_time), 5),
                FLOOR(event_time TO MINUTE)
            ) AS start_of
        FROM payments
        WHERE ABS(TIMESTAMPDIFF(SECOND, event_time, sent_at)) <= 60
    )
    GROUP BY user_id, start_of
"""


def features(windows):
    """Of a user's newest five minutes, and of the hour that ends with them."""
    newest = max(windows)
    last = windows[newest]
    hour = [w for start, w in windows.items() if newest - start < timedelta(hours=1)]
    payments = sum(window["payments"] for window in hour)
    return {
        "transaction_count_5m": last["payments"],
        "total_amount_5m": last["cents"] / 100,
        "avg_amount_5m": last["cents"] / 100 / last["payments"],
        "max_amount_5m": last["highest"] / 100,
        "declined_count_5m": last["declined"],
        "transaction_count_1h": payments,
        "avg_amount_1h": sum(window["cents"] for window in hour) / 100 / payments,
    }


def keep_in_redis():
    """A window only grows: of two versions of it the one with more payments is the newer."""
    client = redis.Redis(port=int(os.environ["LAB_REDIS_PORT"]))
    users = {}
    topic = KafkaConsumer(
        "five_minutes", bootstrap_servers=KAFKA, auto_offset_reset="earliest", group_id=None
    )
    for record in topic:
        if record.value is None:
            continue
        window = json.loads(record.value)
        windows = users.setdefault(window["user_id"], {})
        start = datetime.fromisoformat(window["start_of"])
        if window["payments"] >= windows.get(start, window)["payments"]:
            windows[start] = window
            key = f"live:{window['user_id']}"
            client.hset(key, mapping=features(windows))
            client.expire(key, timedelta(hours=2))


if __name__ == "__main__":
    threading.Thread(target=keep_in_redis, daemon=True).start()
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in SETTINGS.items():
        tables.get_config().set(name, value)
    tables.execute_sql(SOURCE)
    tables.execute_sql(SINK)
    tables.execute_sql(COUNT).wait()
