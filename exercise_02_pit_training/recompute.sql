-- The expected features of each entity row, recomputed from the raw events.
-- The feature tables give only the snapshots' event and created times. Both batch views have a TTL
-- of 90 days, the streaming view has one of a day.

WITH user_snapshot AS (
    SELECT entity_row.row, max(snapshot.event_timestamp) AS moment
    FROM entity_row JOIN user_stats AS snapshot USING (user_id)
    WHERE snapshot.event_timestamp BETWEEN entity_row.t - INTERVAL 90 DAY AND entity_row.t
      AND snapshot.created_timestamp <= entity_row.t
    GROUP BY entity_row.row
),
merchant_snapshot AS (
    SELECT entity_row.row, max(snapshot.event_timestamp) AS moment
    FROM entity_row JOIN merchant_stats AS snapshot USING (merchant_id)
    WHERE snapshot.event_timestamp BETWEEN entity_row.t - INTERVAL 90 DAY AND entity_row.t
      AND snapshot.created_timestamp <= entity_row.t
    GROUP BY entity_row.row
),
streaming_snapshot AS (
    SELECT entity_row.row, max(snapshot.event_timestamp) AS moment
    FROM entity_row JOIN user_streaming AS snapshot USING (user_id)
    WHERE snapshot.event_timestamp BETWEEN entity_row.t - INTERVAL 1 DAY AND entity_row.t
      AND snapshot.created_timestamp <= entity_row.t
    GROUP BY entity_row.row
),
streaming AS (
    SELECT
        streaming_snapshot.row,
        count(past.amount) FILTER (in_tile) AS transaction_count_5m,
        coalesce(sum(cents) FILTER (in_tile), 0) / 100 AS total_amount_5m,
        sum(cents) FILTER (in_tile) / 100 / count(past.amount) FILTER (in_tile) AS avg_amount_5m,
        max(past.amount) FILTER (in_tile) AS max_amount_5m,
        count(past.amount) FILTER (in_tile AND NOT past.is_approved) AS declined_count_5m,
        count(past.amount) AS transaction_count_1h,
        sum(cents) / 100 / nullif(count(past.amount), 0) AS avg_amount_1h
    FROM streaming_snapshot
    JOIN entity_row USING (row)
    LEFT JOIN (SELECT *, round(amount * 100) AS cents FROM transactions) AS past
        ON past.user_id = entity_row.user_id AND past.event_timestamp < moment
        AND past.event_timestamp >= time_bucket(INTERVAL 5 MINUTE, moment) - INTERVAL 55 MINUTE
    CROSS JOIN LATERAL (
        SELECT past.event_timestamp >= time_bucket(INTERVAL 5 MINUTE, moment) AS in_tile
    )
    GROUP BY streaming_snapshot.row
),
of_user AS (
    SELECT
        entity_row.row,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 7 DAY) AS transaction_count_7d,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS transaction_count_30d,
        CAST(sum(round(past.amount * 100)) / 100 / count(*) AS FLOAT) AS avg_transaction_amount
    FROM entity_row
    JOIN user_snapshot USING (row)
    JOIN transactions AS past ON past.user_id = entity_row.user_id AND past.event_timestamp < moment
    GROUP BY entity_row.row
),
of_merchant AS (
    SELECT
        entity_row.row,
        count(*) AS transactions,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS total_transactions_30d,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 1 DAY) AS transactions_24h
    FROM entity_row
    JOIN merchant_snapshot USING (row)
    JOIN transactions AS past ON past.merchant_id = entity_row.merchant_id AND past.event_timestamp < moment
    GROUP BY entity_row.row
),
taken_back AS (
    SELECT
        entity_row.row,
        count(*) AS chargebacks,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS chargebacks_30d
    FROM entity_row
    JOIN merchant_snapshot USING (row)
    JOIN chargebacks AS past ON past.merchant_id = entity_row.merchant_id AND past.event_timestamp < moment
    GROUP BY entity_row.row
)
SELECT
    transaction_count_7d,
    transaction_count_30d,
    avg_transaction_amount,
    CASE WHEN has_chargebacks THEN
        CAST(coalesce(chargebacks, 0) / transactions AS FLOAT)
    END AS chargeback_rate,
    total_transactions_30d,
    CAST(transactions_24h * 30 / nullif(total_transactions_30d, 0) AS FLOAT)
        AS transactions_24h_vs_daily_mean,
    CASE WHEN has_chargebacks AND transactions > 0 THEN coalesce(chargebacks_30d, 0) END
        AS chargeback_count_30d,
    streaming.* EXCLUDE (row)
FROM entity_row
LEFT JOIN of_user USING (row)
LEFT JOIN of_merchant USING (row)
LEFT JOIN taken_back USING (row)
LEFT JOIN streaming ON streaming.row = entity_row.row
CROSS JOIN (SELECT count(*) > 0 AS has_chargebacks FROM chargebacks)
ORDER BY entity_row.row
