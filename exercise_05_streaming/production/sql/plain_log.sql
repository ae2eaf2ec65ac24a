-- The log with a time that windows can use, and a watermark that waits as long as an event may be
-- late. A time that is missing, or far in the future, must not move the watermark.
CREATE TEMPORARY TABLE timed_transactions (
    message STRING,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    record_time TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL,
    seen AS PROCTIME(),
    window_time AS COALESCE(
        TRY_CAST(REPLACE(REPLACE(SUBSTRING(
            JSON_VALUE(message, '$.event_time') FROM 1 FOR 23
        ), 'Z', ''), 'T', ' ') AS TIMESTAMP(3)),
        record_time
    ),
    WATERMARK FOR window_time AS
        LEAST(window_time, TIMESTAMPADD(SECOND, ${allowed_ahead_s}, record_time))
        - INTERVAL '${watermark_delay_m}' MINUTE
) WITH (
    'connector' = 'kafka',
    'topic' = '${transactions_topic}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = 'latest-offset',
    'format' = 'raw'
);
