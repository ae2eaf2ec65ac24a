-- What a user likes: the latest product and merchant, and the habits of all transactions so far.
WITH purchases AS (
    SELECT *, next_hour(event_timestamp) AS hour, (event_timestamp, transaction_id) AS position
    FROM transactions
),
new_products AS (
    SELECT user_id, hour, count(*) AS new_products
    FROM (SELECT user_id, product_id, min(hour) AS hour FROM purchases GROUP BY ALL)
    GROUP BY ALL
),
hourly AS (
    SELECT user_id, hour, count(*) AS n, count(*) FILTER (is_weekend(event_timestamp)) AS weekend,
        arg_max(product_id, position) AS product, arg_max(merchant_id, position) AS merchant
    FROM purchases
    GROUP BY ALL
),
changes AS (
    SELECT user_id, hour, n, weekend, coalesce(new_products, 0) AS new_products, product, merchant
    FROM hourly LEFT JOIN new_products USING (user_id, hour)
    UNION ALL
    SELECT user_id, unnest(midnights(min(hour))), 0, 0, 0, NULL, NULL FROM hourly GROUP BY user_id
),
deltas AS (
    SELECT user_id, hour, sum(n)::BIGINT AS d_n, sum(weekend)::BIGINT AS d_weekend,
        sum(new_products)::BIGINT AS d_products, max(product) AS product, max(merchant) AS merchant
    FROM changes
    WHERE hour <= last_hour()
    GROUP BY ALL
),
snapshots AS (
    SELECT user_id, hour, d_n, d_weekend, d_products,
        sum(d_n) OVER so_far AS n, sum(d_weekend) OVER so_far AS weekend,
        sum(d_products) OVER so_far AS products,
        last_value(product IGNORE NULLS) OVER so_far AS product,
        last_value(merchant IGNORE NULLS) OVER so_far AS merchant,
        last_value(product IGNORE NULLS) OVER earlier AS product_before,
        last_value(merchant IGNORE NULLS) OVER earlier AS merchant_before
    FROM deltas
    WINDOW so_far AS (PARTITION BY user_id ORDER BY hour ROWS UNBOUNDED PRECEDING),
        earlier AS (PARTITION BY user_id ORDER BY hour
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT user_id, moment(hour) AS event_timestamp, created(user_id, hour) AS created_timestamp,
    product AS last_product_id,
    merchant AS last_merchant_id,
    products::BIGINT AS distinct_products,
    share(weekend, n)::FLOAT AS weekend_share
FROM snapshots
WHERE created_timestamp <= as_of()
    AND (is_midnight(hour) OR d_products <> 0
        OR product IS DISTINCT FROM product_before OR merchant IS DISTINCT FROM merchant_before
        OR weekend_share IS DISTINCT FROM share(weekend - d_weekend, n - d_n)::FLOAT)
ORDER BY event_timestamp, user_id
