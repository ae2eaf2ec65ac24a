-- The expected features of each entity row, recomputed from the raw events.
-- user_stats, merchant_stats and user_streaming are entity rows with the moment of their newest
-- snapshot (recompute.py); its values are those of the events strictly before that moment.

WITH streaming AS (
    SELECT
        row,
        count(past.amount) FILTER (in_tile) AS transaction_count_5m,
        coalesce(sum(cents) FILTER (in_tile), 0) / 100 AS total_amount_5m,
        sum(cents) FILTER (in_tile) / 100 / count(past.amount) FILTER (in_tile) AS avg_amount_5m,
        max(past.amount) FILTER (in_tile) AS max_amount_5m,
        count(past.amount) FILTER (in_tile AND NOT past.is_approved) AS declined_count_5m,
        count(past.amount) AS transaction_count_1h,
        sum(cents) / 100 / nullif(count(past.amount), 0) AS avg_amount_1h
    FROM user_streaming
    LEFT JOIN (SELECT *, round(amount * 100) AS cents FROM transactions) AS past
        ON past.user_id = user_streaming.user_id AND past.event_timestamp < moment
        AND past.event_timestamp >= time_bucket(INTERVAL 5 MINUTE, moment) - INTERVAL 55 MINUTE
    CROSS JOIN LATERAL (
        SELECT past.event_timestamp >= time_bucket(INTERVAL 5 MINUTE, moment) AS in_tile
    )
    GROUP BY row
),
of_user AS (
    SELECT
        row,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 7 DAY) AS transaction_count_7d,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS transaction_count_30d,
        CAST(sum(round(past.amount * 100)) / 100 / count(*) AS FLOAT) AS avg_transaction_amount
    FROM user_stats JOIN transactions AS past USING (user_id)
    WHERE past.event_timestamp < moment
    GROUP BY row
),
of_merchant AS (
    SELECT
        row,
        count(*) AS transactions,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS total_transactions_30d,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 1 DAY) AS transactions_24h
    FROM merchant_stats JOIN transactions AS past USING (merchant_id)
    WHERE past.event_timestamp < moment
    GROUP BY row
),
taken_back AS (
    SELECT
        row,
        count(*) AS chargebacks,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS chargebacks_30d
    FROM merchant_stats JOIN chargebacks AS past USING (merchant_id)
    WHERE past.event_timestamp < moment
    GROUP BY row
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
