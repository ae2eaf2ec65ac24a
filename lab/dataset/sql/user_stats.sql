-- What a user has done: in the 7 and the 30 days before the hour, and ever before it.
WITH hourly AS (
    SELECT user_id, next_hour(event_timestamp) AS hour,
        whole(count(*)) AS n, whole(sum(cents)) AS cents
    FROM transactions
    GROUP BY ALL
),
changes AS (
    SELECT user_id, hour, n AS n_7d, n AS n_30d, cents AS cents_30d, n, cents FROM hourly
    UNION ALL
    SELECT user_id, hour + days(7), -n, 0, 0, 0, 0 FROM hourly
    UNION ALL
    SELECT user_id, hour + days(30), 0, -n, -cents, 0, 0 FROM hourly
    UNION ALL
    SELECT user_id, unnest(midnights(min(hour))), 0, 0, 0, 0, 0 FROM hourly GROUP BY user_id
),
deltas AS (
    SELECT user_id, hour, sum(n_7d) AS d_7d, sum(n_30d) AS d_30d,
        sum(cents_30d) AS d_cents_30d, sum(n) AS d_n, sum(cents) AS d_cents
    FROM changes
    WHERE hour <= last_hour()
    GROUP BY ALL
),
snapshots AS (
    SELECT *, sum(d_7d) OVER so_far AS n_7d, sum(d_30d) OVER so_far AS n_30d,
        sum(d_cents_30d) OVER so_far AS cents_30d,
        sum(d_n) OVER so_far AS n, sum(d_cents) OVER so_far AS cents
    FROM deltas
    WINDOW so_far AS (PARTITION BY user_id ORDER BY hour ROWS UNBOUNDED PRECEDING)
)
SELECT user_name AS user_id, moment(hour) AS event_timestamp,
    created(user_name, hour) AS created_timestamp,
    n_7d::BIGINT AS transaction_count_7d,
    n_30d::BIGINT AS transaction_count_30d,
    mean_dollars(cents, n)::FLOAT AS avg_transaction_amount,
    dollars(cents_30d)::FLOAT AS total_amount_30d
FROM snapshots JOIN users USING (user_id)
WHERE created_timestamp <= as_of()
    AND (is_midnight(hour) OR d_7d <> 0 OR d_30d <> 0
        OR total_amount_30d IS DISTINCT FROM dollars(cents_30d - d_cents_30d)::FLOAT
        OR avg_transaction_amount IS DISTINCT FROM mean_dollars(cents - d_cents, n - d_n)::FLOAT)
ORDER BY snapshots.user_id, hour
