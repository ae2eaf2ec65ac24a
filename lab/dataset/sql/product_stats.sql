-- How popular a product is: views and purchases (transactions of it, approved or not).
WITH events AS (
    SELECT product_id, next_hour(event_timestamp) AS hour, 0 AS views, 1 AS purchases
    FROM transactions
    UNION ALL
    SELECT product_id, next_hour(event_timestamp), 1, 0 FROM product_views
),
hourly AS (
    SELECT product_id, hour, whole(sum(views)) AS views, whole(sum(purchases)) AS purchases
    FROM events
    GROUP BY ALL
),
changes AS (
    SELECT product_id, hour, views AS views_7d, views AS views_30d, purchases AS purchases_30d
    FROM hourly
    UNION ALL
    SELECT product_id, hour + days(7), -views, 0, 0 FROM hourly WHERE views > 0
    UNION ALL
    SELECT product_id, hour + days(30), 0, -views, -purchases FROM hourly
    UNION ALL
    SELECT product_id, unnest(midnights(min(hour))), 0, 0, 0 FROM hourly GROUP BY product_id
),
deltas AS (
    SELECT product_id, hour, sum(views_7d) AS d_views_7d,
        sum(views_30d) AS d_views_30d, sum(purchases_30d) AS d_purchases_30d
    FROM changes
    WHERE hour <= last_hour()
    GROUP BY ALL
),
snapshots AS (
    SELECT *, sum(d_views_7d) OVER so_far AS views_7d, sum(d_views_30d) OVER so_far AS views_30d,
        sum(d_purchases_30d) OVER so_far AS purchases_30d
    FROM deltas
    WINDOW so_far AS (PARTITION BY product_id ORDER BY hour ROWS UNBOUNDED PRECEDING)
)
SELECT product_name AS product_id, moment(hour) AS event_timestamp,
    created(product_name, hour) AS created_timestamp,
    if(has_table('product_views'), views_7d, NULL)::BIGINT AS view_count_7d,
    purchases_30d::BIGINT AS purchase_count_30d,
    share(purchases_30d, views_30d)::FLOAT AS purchase_rate
FROM snapshots JOIN products USING (product_id)
WHERE created_timestamp <= as_of()
    AND (is_midnight(hour) OR d_views_7d <> 0 OR d_purchases_30d <> 0
        OR purchase_rate IS DISTINCT FROM
            share(purchases_30d - d_purchases_30d, views_30d - d_views_30d)::FLOAT)
ORDER BY snapshots.product_id, hour
