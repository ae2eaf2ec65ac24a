-- What a message says. A number's text is kept, so that its cents are exact. A time without a zone
-- is UTC.
CREATE TEMPORARY VIEW parsed AS
SELECT
    *,
    JSON_VALUE(message, '$.user_id') AS user_id,
    JSON_VALUE(message, '$.transaction_id') AS transaction_id,
    JSON_VALUE(message, '$.amount') AS amount,
    JSON_VALUE(message, '$.is_approved') AS is_approved,
    TRY_CAST(REPLACE(REGEXP_EXTRACT(
        JSON_VALUE(message, '$.event_time'),
        '^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,3})?)[0-9]*(Z|[+]00:00)?$',
        1
    ), 'T', ' ') AS TIMESTAMP(3)) AS event_time
FROM ${log};

-- Why a message is refused, or null. An amount's form is looked at before it is cast: TRY_CAST gives
-- zero for some texts that are no number. Lateness is judged by the record's own time, not by a
-- watermark: that depends on what other partitions have delivered, so after a restart other events
-- would be late.
CREATE TEMPORARY VIEW judged AS
SELECT
    *,
    CAST(TRY_CAST(amount AS DECIMAL(18, 2)) * 100 AS BIGINT) AS cents,
    CASE
        WHEN (user_id IS NULL OR amount IS NULL) AND message IS NOT JSON OBJECT THEN 'not_json'
        -- Flink stops reading where a value ends. What stands behind it breaks an array or an object
        -- around it; a message with one brace, at its end, need not be tried.
        WHEN POSITION('}' IN message) < CHAR_LENGTH(RTRIM(message)) AND NOT (
            CONCAT('[', message, ']') IS JSON ARRAY
            AND CONCAT('{"message":', message, '}') IS JSON OBJECT
        ) THEN 'not_json'
        WHEN user_id IS NULL OR user_id = '' THEN 'missing_user'
        WHEN amount IS NULL THEN 'missing_amount'
        WHEN NOT REGEXP(amount, '^[0-9]+([.][0-9]*)?([eE][+-]?[0-9]{1,3})?$') THEN 'bad_amount'
        WHEN TRY_CAST(amount AS DECIMAL(18, 2)) IS NULL THEN 'bad_amount'
        WHEN event_time IS NULL THEN 'bad_time'
        -- Flink takes 30 February for the 28th.
        WHEN EXTRACT(DAY FROM event_time) <> CAST(
            SUBSTRING(JSON_VALUE(message, '$.event_time') FROM 9 FOR 2) AS INT
        ) THEN 'bad_time'
        WHEN event_time < TIMESTAMPADD(SECOND, -${allowed_lateness_s}, record_time) THEN 'too_late'
        WHEN event_time > TIMESTAMPADD(SECOND, ${allowed_ahead_s}, record_time) THEN 'too_far_ahead'
    END AS reason
FROM parsed;

-- What a shop sends twice counts once. An event without an id is one of its own.
CREATE TEMPORARY VIEW accepted AS
SELECT *
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
