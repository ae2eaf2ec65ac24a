-- What a user likes: the latest product and merchant, and the habits of all transactions so far.
WITH purchases AS (
    SELECT *, next_hour(event_timestamp) AS hour FROM transactions
),
new_products AS (
    SELECT user_id, hour, whole(count(*)) AS new_products
    FROM (SELECT user_id, min(hour) AS hour FROM purchases
        WHERE product_id IS NOT NULL GROUP BY user_id, product_id)
    GROUP BY ALL
),
hourly AS (
    SELECT user_id, hour, whole(count(*)) AS n,
        whole(count(*) FILTER (is_weekend(event_timestamp))) AS weekend,
        arg_max(product_id, position) AS product_id, arg_max(merchant_id, position) AS merchant_id
    FROM purchases
    GROUP BY ALL
),
changes AS (
    SELECT user_id, hour, n, weekend, coalesce(new_products, 0) AS new_products,
        product_id, merchant_id
    FROM hourly LEFT JOIN new_products USING (user_id, hour)
    UNION ALL
    SELECT user_id, unnest(midnights(min(hour))), 0, 0, 0, NULL, NULL FROM hourly GROUP BY user_id
),
deltas AS (
    SELECT user_id, hour, sum(n) AS d_n, sum(weekend) AS d_weekend,
        sum(new_products) AS d_products, max(product_id) AS product_id,
        max(merchant_id) AS merchant_id
    FROM changes
    WHERE hour <= last_hour()
    GROUP BY ALL
),
snapshots AS (
    SELECT user_id, hour, d_n, d_weekend, d_products,
        sum(d_n) OVER so_far AS n, sum(d_weekend) OVER so_far AS weekend,
        sum(d_products) OVER so_far AS products,
        last_value(product_id IGNORE NULLS) OVER so_far AS product_id,
        last_value(merchant_id IGNORE NULLS) OVER so_far AS merchant_id,
        last_value(product_id IGNORE NULLS) OVER earlier AS product_before,
        last_value(merchant_id IGNORE NULLS) OVER earlier AS merchant_before
    FROM deltas
    WINDOW so_far AS (PARTITION BY user_id ORDER BY hour ROWS UNBOUNDED PRECEDING),
        earlier AS (PARTITION BY user_id ORDER BY hour
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT user_name AS user_id, moment(hour) AS event_timestamp,
    created(user_name, hour) AS created_timestamp,
    product_name AS last_product_id,
    merchant_name AS last_merchant_id,
    products::BIGINT AS distinct_products,
    share(weekend, n)::FLOAT AS weekend_share
FROM snapshots JOIN users USING (user_id)
    LEFT JOIN products USING (product_id) LEFT JOIN merchants USING (merchant_id)
WHERE created_timestamp <= as_of()
    AND (is_midnight(hour) OR d_products <> 0
        OR product_id IS DISTINCT FROM product_before
        OR merchant_id IS DISTINCT FROM merchant_before
        OR weekend_share IS DISTINCT FROM share(weekend - d_weekend, n - d_n)::FLOAT)
ORDER BY snapshots.user_id, hour
