-- A recount of the log in one batch, to hold the stream against: what is accepted, the tiles, and
-- every window as of $now_ms. It shares nothing with the job but the definitions.
CREATE OR REPLACE TABLE accepted AS
WITH fields AS (
    SELECT partition, "offset", record_ms,
        message::JSON AS event,
        event ->> '$.user_id' AS user_id,
        event ->> '$.transaction_id' AS transaction_id,
        event ->> '$.amount' AS amount,
        try_cast(amount AS DECIMAL(18, 2)) AS dollars,
        (event ->> '$.is_approved') = 'false' AS declined,
        event ->> '$.event_time' AS event_time,
        epoch_ms(try_cast(event_time AS TIMESTAMPTZ)) AS ms
    FROM log
)
SELECT user_id, ms, (dollars * 100)::BIGINT AS cents, coalesce(declined, false) AS declined
FROM fields
WHERE user_id <> '' AND dollars IS NOT NULL
    AND regexp_full_match(amount, '[0-9]+([.][0-9]*)?([eE][+-]?[0-9]{1,3})?')
    AND regexp_full_match(event_time, '[0-9-]{10}[T ][0-9:]{8}([.][0-9]+)?(Z|[+]00:00)?')
    AND ms BETWEEN record_ms - $lateness_ms AND record_ms + $ahead_ms
QUALIFY transaction_id IS NULL
    OR row_number() OVER (PARTITION BY transaction_id ORDER BY record_ms, partition, "offset") = 1;

CREATE OR REPLACE TABLE tiles AS
SELECT user_id, ms // 300_000 * 300 AS tile_start, count(*) AS transaction_count,
    sum(cents)::BIGINT AS total_cents, max(cents) AS max_cents,
    count(*) FILTER (declined) AS declined_count,
    min(ms) AS first_event, max(ms) AS last_event
FROM accepted
GROUP BY ALL
ORDER BY ALL;

CREATE OR REPLACE TABLE windows AS
WITH known AS (
    SELECT *,
        ms - lag(ms) OVER one_by_one > $gap_ms AS opens,
        max(ms) OVER (PARTITION BY user_id) + $gap_ms > $now_ms AS is_running
    FROM accepted
    WHERE ms // 300_000 <= $now_ms // 300_000
    WINDOW one_by_one AS (PARTITION BY user_id ORDER BY ms)
),
sessions AS (
    SELECT *, count(*) FILTER (opens) OVER (PARTITION BY user_id ORDER BY ms DESC
        RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later_ones
    FROM known
),
members AS (
    SELECT *, unnest([
        if($now_ms // 300_000 = ms // 300_000, '5m', NULL),
        if($now_ms // 300_000 - ms // 300_000 < 12, '1h', NULL),
        if($now_ms // 3_600_000 - ms // 3_600_000 < 24, '24h', NULL),
        if(is_running AND later_ones = 0, 'session', NULL)
    ]) AS "window"
    FROM sessions
)
SELECT user_id, "window", count(*) AS transaction_count, sum(cents) / 100.0 AS total_amount,
    sum(cents) / 100.0 / count(*) AS avg_amount, max(cents) / 100.0 AS max_amount,
    count(*) FILTER (declined) AS declined_count
FROM members
WHERE "window" IS NOT NULL
GROUP BY ALL;
