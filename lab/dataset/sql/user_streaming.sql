-- What a user is doing right now, at every moment t at which a value changes: in the running five
-- minutes [floor(t), t); in the last 12 such tiles; in the last 24 hours, the running one too; in
-- the running session, which ends half an hour after its last event. An event counts from the next
-- microsecond on: `us` is the last microsecond before t.
WITH events AS (
    SELECT user_id, epoch_us(event_timestamp) AS us, cents, is_approved,
        us - lag(us) OVER one_by_one AS pause_before,
        lead(us) OVER one_by_one - us AS pause_after
    FROM transactions
    WINDOW one_by_one AS (PARTITION BY user_id ORDER BY us)
),
leaving AS (
    SELECT DISTINCT user_id, unnest([
        floor_us(us, tile_us()) + tile_us(),
        floor_us(us, tile_us()) + hour_us(),
        floor_us(us, hour_us()) + 24 * hour_us(),
        if(coalesce(pause_after >= gap_us(), true), us + gap_us(), NULL)
    ]) AS moment_us
    FROM events
),
changes AS (
    SELECT user_id, us, 1 AS n, cents, is_approved,
        if(coalesce(pause_before > gap_us(), true), us, NULL) AS session_us, us AS event_us
    FROM events
    UNION ALL
    SELECT user_id, moment_us - 1, 0, NULL, NULL, NULL, NULL
    FROM leaving WHERE moment_us IS NOT NULL
),
moments AS (
    SELECT user_id, us, whole(sum(n)) AS n, whole(coalesce(sum(cents), 0)) AS cents,
        whole(max(cents)) AS top, whole(count(*) FILTER (NOT is_approved)) AS declined,
        max(session_us) AS session_us, max(event_us) AS event_us
    FROM changes
    WHERE us + 1 + getvariable('streaming_us') <= getvariable('as_of_us')
    GROUP BY ALL
),
begins AS (
    SELECT user_id, us, n, cents, top, declined,
        floor_us(us + 1, tile_us()) AS tile, floor_us(us + 1, hour_us()) AS hour,
        last_value(session_us IGNORE NULLS) OVER so_far AS session,
        us + 1 - max(event_us) OVER so_far < gap_us() AS in_session
    FROM moments
    WINDOW so_far AS (PARTITION BY user_id ORDER BY us ROWS UNBOUNDED PRECEDING)
),
sums AS (
    SELECT user_id, us,
        if(us < tile, 0, sum(n) OVER w5m) AS n_5m,
        if(us < tile, 0, sum(cents) OVER w5m) AS cents_5m,
        if(us < tile, NULL, max(top) OVER w5m) AS top_5m,
        if(us < tile, 0, sum(declined) OVER w5m) AS declined_5m,
        sum(n) OVER w1h AS n_1h, sum(cents) OVER w1h AS cents_1h,
        max(top) OVER w1h AS top_1h, sum(declined) OVER w1h AS declined_1h,
        sum(n) OVER w24h AS n_24h, sum(cents) OVER w24h AS cents_24h,
        max(top) OVER w24h AS top_24h, sum(declined) OVER w24h AS declined_24h,
        if(in_session, sum(n) OVER running, 0) AS n_session,
        if(in_session, sum(cents) OVER running, 0) AS cents_session,
        if(in_session, max(top) OVER running, NULL) AS top_session,
        if(in_session, sum(declined) OVER running, 0) AS declined_session
    FROM begins
    WINDOW
        w5m AS (PARTITION BY user_id, us // tile_us() ORDER BY us ROWS UNBOUNDED PRECEDING),
        w1h AS (PARTITION BY user_id ORDER BY us
            RANGE BETWEEN us - (tile - 11 * tile_us()) PRECEDING AND CURRENT ROW),
        w24h AS (PARTITION BY user_id ORDER BY us
            RANGE BETWEEN us - (hour - 23 * hour_us()) PRECEDING AND CURRENT ROW),
        running AS (PARTITION BY user_id, session ORDER BY us ROWS UNBOUNDED PRECEDING)
)
SELECT user_name AS user_id, make_timestamptz(us + 1) AS event_timestamp,
    make_timestamptz(us + 1 + getvariable('streaming_us')) AS created_timestamp,
    n_5m::BIGINT AS transaction_count_5m,
    dollars(cents_5m) AS total_amount_5m,
    mean_dollars(cents_5m, n_5m) AS avg_amount_5m,
    dollars(top_5m) AS max_amount_5m,
    declined_5m::BIGINT AS declined_count_5m,
    n_1h::BIGINT AS transaction_count_1h,
    dollars(cents_1h) AS total_amount_1h,
    mean_dollars(cents_1h, n_1h) AS avg_amount_1h,
    dollars(top_1h) AS max_amount_1h,
    declined_1h::BIGINT AS declined_count_1h,
    n_24h::BIGINT AS transaction_count_24h,
    dollars(cents_24h) AS total_amount_24h,
    mean_dollars(cents_24h, n_24h) AS avg_amount_24h,
    dollars(top_24h) AS max_amount_24h,
    declined_24h::BIGINT AS declined_count_24h,
    n_session::BIGINT AS transaction_count_session,
    dollars(cents_session) AS total_amount_session,
    mean_dollars(cents_session, n_session) AS avg_amount_session,
    dollars(top_session) AS max_amount_session,
    declined_session::BIGINT AS declined_count_session
FROM sums JOIN users USING (user_id)
ORDER BY sums.user_id, us
