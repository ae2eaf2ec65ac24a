-- The log as it is: whatever was sent, where it stands, and when Kafka got it. A message is not
-- parsed yet, since one that cannot be parsed must be told of, not lost.
CREATE TEMPORARY TABLE transactions (
    message STRING,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    record_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    seen AS PROCTIME()
) WITH (
    'connector' = 'kafka',
    'topic' = '${transactions_topic}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = 'flink-features',
    'properties.fetch.max.wait.ms' = '100',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '${until}',
    'format' = 'raw'
);

-- A number's text is kept, so that its cents are exact. A time without a zone is UTC.
CREATE TEMPORARY VIEW parsed AS
SELECT
    message, `partition`, `offset`, seen,
    CAST(record_time AS TIMESTAMP(3)) AS record_time,
    JSON_VALUE(message, '$.user_id') AS user_id,
    JSON_VALUE(message, '$.transaction_id') AS transaction_id,
    JSON_VALUE(message, '$.amount') AS amount,
    JSON_VALUE(message, '$.is_approved') AS is_approved,
    TRY_CAST(REPLACE(REGEXP_EXTRACT(
        JSON_VALUE(message, '$.event_time'),
        '^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,3})?)[0-9]*(Z|[+]00:00)?$',
        1
    ), 'T', ' ') AS TIMESTAMP(3)) AS event_time
FROM transactions;

-- Lateness is judged by the record's own time, not by a watermark: a watermark depends on what
-- other partitions have delivered, and after a restart other events would be late.
CREATE TEMPORARY VIEW judged AS
SELECT
    *,
    CAST(TRY_CAST(amount AS DECIMAL(18, 2)) * 100 AS BIGINT) AS cents,
    CASE
        WHEN (user_id IS NULL OR amount IS NULL) AND message IS NOT JSON OBJECT THEN 'not_json'
        WHEN user_id IS NULL OR user_id = '' THEN 'missing_user'
        WHEN amount IS NULL THEN 'missing_amount'
        WHEN TRY_CAST(amount AS DECIMAL(18, 2)) IS NULL OR amount LIKE '-%' THEN 'bad_amount'
        WHEN event_time IS NULL THEN 'bad_time'
        WHEN event_time < TIMESTAMPADD(SECOND, -${allowed_lateness_s}, record_time) THEN 'too_late'
        WHEN event_time > TIMESTAMPADD(SECOND, ${allowed_ahead_s}, record_time) THEN 'too_far_ahead'
    END AS reason
FROM parsed;

-- What a shop sends twice counts once. An event without an id is its own.
CREATE TEMPORARY VIEW accepted AS
SELECT user_id, cents, is_approved, event_time
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY COALESCE(
                transaction_id,
                CONCAT('at ', CAST(`partition` AS STRING), ':', CAST(`offset` AS STRING))
            )
            ORDER BY seen
        ) AS copy
    FROM judged
    WHERE reason IS NULL
)
WHERE copy = 1;
