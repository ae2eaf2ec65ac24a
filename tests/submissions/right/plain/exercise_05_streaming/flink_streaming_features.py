"""Flink SQL counts each user's five minutes; an hour is put together where they arrive."""

import json
import os
from collections import defaultdict

import redis
from pyflink.common import RowKind
from pyflink.table import EnvironmentSettings, TableEnvironment

HOUR = 12  # tiles of five minutes
SETTINGS = {
    "parallelism.default": "4",
    "table.local-time-zone": "UTC",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "10000",
    "table.exec.state.ttl": "1 d",
}
KAFKA = {
    "connector": "kafka",
    "topic": "transactions",
    "properties.bootstrap.servers": "localhost:9092",
    "properties.group.id": "flink-features",
    "scan.startup.mode": "earliest-offset",
    "format": "json",
    "json.timestamp-format.standard": "ISO-8601",
    "json.ignore-parse-errors": "true",
}
COLUMNS = """
    user_id STRING,
    amount DECIMAL(18, 2),
    is_approved BOOLEAN,
    event_time TIMESTAMP(3),
    record_time TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL
"""
# Judged by the record's own time: by a watermark other events are late at each reading of the log.
ACCEPTED = """
    event_time BETWEEN record_time - INTERVAL '60' SECOND AND record_time + INTERVAL '60' SECOND
"""
TILE = "TIMESTAMPDIFF(MINUTE, TIMESTAMP '1970-01-01 00:00:00', event_time) / 5"
TILES = f"""
    SELECT
        user_id,
        {TILE} AS tile,
        COUNT(*) AS transactions,
        SUM(amount) AS total,
        MAX(amount) AS highest,
        SUM(CASE WHEN NOT is_approved THEN 1 ELSE 0 END) AS declined
    FROM transaction_events
    WHERE {ACCEPTED}
    GROUP BY user_id, {TILE}
"""


def features(tiles):
    newest = max(tiles)
    hour = [values for tile, values in tiles.items() if tile > newest - HOUR]
    count, total, highest, declined = tiles[newest]
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


def write(rows, client):
    tiles_of = defaultdict(dict)
    for row in rows:
        if row.get_row_kind() == RowKind.UPDATE_BEFORE:
            continue
        user, tile, *values = row
        tiles_of[user][tile] = values
        client.set(f"streaming_features:user:{user}", json.dumps(features(tiles_of[user])), 3600)


def main():
    table_env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in SETTINGS.items():
        table_env.get_config().set(name, value)
    options = ", ".join(f"'{name}' = '{value}'" for name, value in KAFKA.items())
    table_env.execute_sql(f"CREATE TABLE transaction_events ({COLUMNS}) WITH ({options})")
    with table_env.execute_sql(TILES).collect() as rows:
        write(rows, redis.Redis(port=int(os.environ.get("LAB_REDIS_PORT", "6379"))))


main()
