-- The same events in Flink's own windows. Each window is told once, when the watermark has passed
-- its end. What comes after that is dropped, without a word.
CREATE TEMPORARY VIEW plain_windows AS
SELECT
    '5m' AS name, user_id, window_start, window_end,
    COUNT(*) AS transaction_count, SUM(cents) AS total_cents, MAX(cents) AS max_cents,
    COUNT(*) FILTER (WHERE declined) AS declined_count
FROM TABLE(TUMBLE(TABLE accepted, DESCRIPTOR(window_time), INTERVAL '5' MINUTES))
GROUP BY user_id, window_start, window_end
UNION ALL
SELECT
    '1h', user_id, window_start, window_end,
    COUNT(*), SUM(cents), MAX(cents), COUNT(*) FILTER (WHERE declined)
FROM TABLE(
    HOP(TABLE accepted, DESCRIPTOR(window_time), INTERVAL '5' MINUTES, INTERVAL '1' HOUR)
)
GROUP BY user_id, window_start, window_end
UNION ALL
SELECT
    '24h', user_id, window_start, window_end,
    COUNT(*), SUM(cents), MAX(cents), COUNT(*) FILTER (WHERE declined)
FROM TABLE(
    HOP(TABLE accepted, DESCRIPTOR(window_time), INTERVAL '1' HOUR, INTERVAL '24' HOURS)
)
GROUP BY user_id, window_start, window_end
UNION ALL
SELECT
    'session', user_id, window_start, window_end,
    COUNT(*), SUM(cents), MAX(cents), COUNT(*) FILTER (WHERE declined)
FROM TABLE(
    SESSION(
        TABLE accepted PARTITION BY user_id, DESCRIPTOR(window_time), INTERVAL '30' MINUTES
    )
)
GROUP BY user_id, window_start, window_end;
