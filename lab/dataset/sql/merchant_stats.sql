-- How risky a merchant has been: what was charged back or refunded, as far as it was known then.
WITH events AS (
    SELECT merchant_id, next_hour(event_timestamp) AS hour, 1 AS n, 0 AS chargebacks, 0 AS refunds
    FROM transactions
    UNION ALL
    SELECT merchant_id, next_hour(event_timestamp), 0, 1, 0 FROM chargebacks
    UNION ALL
    SELECT merchant_id, next_hour(event_timestamp), 0, 0, 1 FROM refunds
),
hourly AS (
    SELECT merchant_id, hour, whole(sum(n)) AS n, whole(sum(chargebacks)) AS chargebacks,
        whole(sum(refunds)) AS refunds
    FROM events
    GROUP BY ALL
),
changes AS (
    SELECT merchant_id, hour, n AS n_24h, n AS n_30d, chargebacks AS chargebacks_30d,
        n, chargebacks, refunds
    FROM hourly
    UNION ALL
    SELECT merchant_id, hour + days(1), -n, 0, 0, 0, 0, 0 FROM hourly
    UNION ALL
    SELECT merchant_id, hour + days(30), 0, -n, -chargebacks, 0, 0, 0 FROM hourly
    UNION ALL
    SELECT merchant_id, unnest(midnights(min(hour))), 0, 0, 0, 0, 0, 0
    FROM hourly GROUP BY merchant_id
),
deltas AS (
    SELECT merchant_id, hour, sum(n_24h) AS d_24h, sum(n_30d) AS d_30d, sum(n) AS d_n,
        sum(chargebacks_30d) AS d_chargebacks_30d,
        sum(chargebacks) AS d_chargebacks, sum(refunds) AS d_refunds
    FROM changes
    WHERE hour <= last_hour()
    GROUP BY ALL
),
snapshots AS (
    SELECT *, sum(d_24h) OVER so_far AS n_24h, sum(d_30d) OVER so_far AS n_30d,
        sum(d_n) OVER so_far AS n, sum(d_chargebacks_30d) OVER so_far AS chargebacks_30d,
        sum(d_chargebacks) OVER so_far AS chargebacks, sum(d_refunds) OVER so_far AS refunds
    FROM deltas
    WINDOW so_far AS (PARTITION BY merchant_id ORDER BY hour ROWS UNBOUNDED PRECEDING)
)
SELECT merchant_name AS merchant_id, moment(hour) AS event_timestamp,
    created(merchant_name, hour) AS created_timestamp,
    if(has_table('chargebacks'), share(chargebacks, n), NULL)::FLOAT AS chargeback_rate,
    if(has_table('refunds'), share(refunds, n), NULL)::FLOAT AS refund_rate,
    n_30d::BIGINT AS total_transactions_30d,
    share(n_24h * 30, n_30d)::FLOAT AS transactions_24h_vs_daily_mean,
    if(has_table('chargebacks'), chargebacks_30d, NULL)::BIGINT AS chargeback_count_30d
FROM snapshots JOIN merchants USING (merchant_id)
WHERE created_timestamp <= as_of()
    AND (is_midnight(hour) OR d_24h <> 0 OR d_30d <> 0
        OR has_table('chargebacks') AND d_chargebacks_30d <> 0
        OR has_table('chargebacks')
        AND chargeback_rate IS DISTINCT FROM share(chargebacks - d_chargebacks, n - d_n)::FLOAT
        OR has_table('refunds')
        AND refund_rate IS DISTINCT FROM share(refunds - d_refunds, n - d_n)::FLOAT)
ORDER BY snapshots.merchant_id, hour
