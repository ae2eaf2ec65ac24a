-- What a user is doing right now, at every fifth minute t: the tile [t - 5 min, t) and the twelve
-- tiles of [t - 1 h, t). A tile is numbered by its end, in steps of five minutes since 1970.
WITH tiles AS (
    SELECT user_id, next_tile(event_timestamp) AS tile,
        whole(count(*)) AS n, whole(sum(cents)) AS cents, whole(max(cents)) AS top,
        whole(count(*) FILTER (NOT is_approved)) AS declined
    FROM transactions
    GROUP BY ALL
),
changes AS (
    SELECT user_id, tile, n, cents, top, declined, n AS d_1h, cents AS d_cents_1h FROM tiles
    UNION ALL
    SELECT user_id, tile + 1, 0, 0, NULL, 0, 0, 0 FROM tiles
    UNION ALL
    SELECT user_id, tile + 12, 0, 0, NULL, 0, -n, -cents FROM tiles
),
deltas AS (
    SELECT user_id, tile, sum(n) AS n, sum(cents) AS cents, max(top) AS top,
        sum(declined) AS declined, sum(d_1h) AS d_1h,
        sum(d_cents_1h) AS d_cents_1h
    FROM changes
    WHERE tile <= last_tile()
    GROUP BY ALL
),
snapshots AS (
    SELECT *, sum(d_1h) OVER so_far AS n_1h, sum(d_cents_1h) OVER so_far AS cents_1h,
        lag((n, cents, top, declined)) OVER so_far AS before
    FROM deltas
    WINDOW so_far AS (PARTITION BY user_id ORDER BY tile ROWS UNBOUNDED PRECEDING)
)
SELECT user_name AS user_id, tile_end(tile) AS event_timestamp,
    created_at_once(tile) AS created_timestamp,
    n::BIGINT AS transaction_count_5m,
    dollars(cents) AS total_amount_5m,
    mean_dollars(cents, n) AS avg_amount_5m,
    dollars(top) AS max_amount_5m,
    declined::BIGINT AS declined_count_5m,
    n_1h::BIGINT AS transaction_count_1h,
    mean_dollars(cents_1h, n_1h) AS avg_amount_1h
FROM snapshots JOIN users USING (user_id)
WHERE created_timestamp <= as_of()
    AND (d_1h <> 0 OR d_cents_1h <> 0 OR before IS DISTINCT FROM (n, cents, top, declined))
ORDER BY snapshots.user_id, tile
