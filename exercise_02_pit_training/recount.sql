-- What each asked row should hold, counted again from the raw events.
-- The feature tables say only which moments were described, and since when that was known; both
-- views have a TTL of 90 days.

WITH user_snapshot AS (
    SELECT asked.row, max(snapshot.event_timestamp) AS moment
    FROM asked JOIN user_stats AS snapshot USING (user_id)
    WHERE snapshot.event_timestamp BETWEEN asked.t - INTERVAL 90 DAY AND asked.t
      AND snapshot.created_timestamp <= asked.t
    GROUP BY asked.row
),
merchant_snapshot AS (
    SELECT asked.row, max(snapshot.event_timestamp) AS moment
    FROM asked JOIN merchant_stats AS snapshot USING (merchant_id)
    WHERE snapshot.event_timestamp BETWEEN asked.t - INTERVAL 90 DAY AND asked.t
      AND snapshot.created_timestamp <= asked.t
    GROUP BY asked.row
),
of_user AS (
    SELECT
        asked.row,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 7 DAY) AS transaction_count_7d,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS transaction_count_30d,
        CAST(sum(round(past.amount * 100)) / 100 / count(*) AS FLOAT) AS avg_transaction_amount
    FROM asked
    JOIN user_snapshot USING (row)
    JOIN transactions AS past ON past.user_id = asked.user_id AND past.event_timestamp < moment
    GROUP BY asked.row
),
of_merchant AS (
    SELECT
        asked.row,
        count(*) AS transactions,
        count(*) FILTER (past.event_timestamp >= moment - INTERVAL 30 DAY) AS total_transactions_30d
    FROM asked
    JOIN merchant_snapshot USING (row)
    JOIN transactions AS past ON past.merchant_id = asked.merchant_id AND past.event_timestamp < moment
    GROUP BY asked.row
),
taken_back AS (
    SELECT asked.row, count(*) AS chargebacks
    FROM asked
    JOIN merchant_snapshot USING (row)
    JOIN chargebacks AS known ON known.merchant_id = asked.merchant_id AND known.event_timestamp < moment
    GROUP BY asked.row
)
SELECT
    transaction_count_7d,
    transaction_count_30d,
    avg_transaction_amount,
    CASE WHEN has_chargebacks THEN
        CAST(coalesce(chargebacks, 0) / transactions AS FLOAT)
    END AS chargeback_rate,
    total_transactions_30d
FROM asked
LEFT JOIN of_user USING (row)
LEFT JOIN of_merchant USING (row)
LEFT JOIN taken_back USING (row)
CROSS JOIN (SELECT count(*) > 0 AS has_chargebacks FROM chargebacks)
ORDER BY row
