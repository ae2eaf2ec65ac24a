"""Flink SQL counts each user's five minutes; an hour is put together where they arrive."""

import json
import os
from collections import defaultdict
from datetime import timedelta

import redis
from pyflink.table import EnvironmentSettings, TableEnvironment

HOUR = timedelta(hours=1)
SETTINGS = {
    "parallelism.default": "4",
    "table.local-time-zone": "UTC",
    "table.exec.source.idle-timeout": "2 s",
    "table.exec.emit.early-fire.enabled": "true",
    "table.exec.emit.early-fire.delay": "1 s",
    "table.exec.emit.late-fire.enabled": "true",
    "table.exec.emit.late-fire.delay": "1 s",
    "table.exec.emit.allow-lateness": "60 s",
}
SOURCE = """
    CREATE TABLE transaction_events (
        user_id STRING,
        merchant_id STRING,
        amount DECIMAL(18, 2),
        is_approved BOOLEAN,
        event_time TIMESTAMP(3),
        WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
    ) WITH (
        'connector' = 'kafka',
        'topic' = 'transactions',
        'properties.bootstrap.servers' = 'localhost:9092',
        'properties.group.id' = 'flink-features',
        'scan.startup.mode' = 'earliest-offset',
        'format' = 'json',
        'json.timestamp-format.standard' = 'ISO-8601',
        'json.ignore-parse-errors' = 'true'
    )
"""
FIVE_MINUTES = """
    SELECT
        user_id,
        TUMBLE_START(event_time, INTERVAL '5' MINUTE) AS start_of,
        COUNT(*) AS transactions,
        SUM(amount) AS total,
        MAX(amount) AS highest,
        SUM(CASE WHEN NOT is_approved THEN 1 ELSE 0 END) AS declined
    FROM transaction_events
    GROUP BY user_id, TUMBLE(event_time, INTERVAL '5' MINUTE)
"""


def features(windows):
    newest = max(windows)
    hour = [values for start, values in windows.items() if start > newest - HOUR]
    count, total, highest, declined = windows[newest]
    hour_count = sum(values[0] for values in hour)
    return {
        "transaction_count_5m": count,
        "total_amount_5m": float(total),
        "avg_amount_5m": float(total / count),
        "max_amount_5m": float(highest),
        "declined_count_5m": declined,
        "transaction_count_1h": hour_count,
        "avg_amount_1h": float(sum(values[1] for values in hour) / hour_count),
    }


table_env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
for name, value in SETTINGS.items():
    table_env.get_config().set(name, value)
table_env.execute_sql(SOURCE)

client = redis.Redis(port=int(os.environ.get("LAB_REDIS_PORT", "6379")))
windows_of = defaultdict(dict)
with table_env.execute_sql(FIVE_MINUTES).collect() as rows:
    for user, start, *values in rows:
        windows_of[user][start] = values
        client.set(f"streaming_features:user:{user}", json.dumps(features(windows_of[user])), 3600)
