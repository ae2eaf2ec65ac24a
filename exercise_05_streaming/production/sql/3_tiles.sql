-- A user's five minutes, in numbers that can be merged into any longer window. Cents are integers,
-- so the order of events does not matter.
CREATE TEMPORARY TABLE user_tiles (
    user_id STRING,
    tile_start BIGINT,
    transaction_count BIGINT,
    total_cents BIGINT,
    max_cents BIGINT,
    declined_count BIGINT,
    first_event BIGINT,
    last_event BIGINT,
    PRIMARY KEY (user_id, tile_start) NOT ENFORCED
) WITH (${tiles_sink});

-- No window function: windows fire when a watermark passes, and drop what comes after it. A grouped
-- count is told whenever it has changed, once a second, and an event that is late is a change, too.
INSERT INTO user_tiles
SELECT
    user_id,
    tile_start,
    COUNT(*),
    SUM(cents),
    MAX(cents),
    SUM(CASE WHEN declined THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END),
    MIN(event_ms),
    MAX(event_ms)
FROM (SELECT *, event_ms / 300000 * 300 AS tile_start FROM accepted)
GROUP BY user_id, tile_start;
