-- What a message says. A number's text is kept, so that its cents are exact. Flink puts an
-- expression wherever its name is used, and so would parse a message 20 times; what is random it
-- computes once.
CREATE TEMPORARY VIEW parsed AS
SELECT
    *,
    CAST(ROW(
        JSON_VALUE(message, '$.user_id'),
        JSON_VALUE(message, '$.transaction_id'),
        JSON_VALUE(message, '$.amount'),
        JSON_VALUE(message, '$.is_approved'),
        JSON_VALUE(message, '$.event_time'),
        RAND_INTEGER(1)
    ) AS ROW<
        user_id STRING, transaction_id STRING, amount STRING, is_approved STRING,
        event_time STRING, computed_once INT
    >) AS said
FROM ${log};

-- A time without a zone is UTC. An amount's form is looked at before it is cast: TRY_CAST gives zero
-- for some texts that are no number.
CREATE TEMPORARY VIEW typed AS
SELECT
    *,
    CAST(ROW(
        TRY_CAST(REPLACE(REGEXP_EXTRACT(
            said.event_time,
            '^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,3})?)[0-9]*(Z|[+]00:00)?$',
            1
        ), 'T', ' ') AS TIMESTAMP(3)),
        CASE WHEN REGEXP(said.amount, '^[0-9]+([.][0-9]*)?([eE][+-]?[0-9]{1,3})?$')
            THEN CAST(TRY_CAST(said.amount AS DECIMAL(18, 2)) * 100 AS BIGINT)
        END,
        RAND_INTEGER(1)
    ) AS ROW<event_time TIMESTAMP(3), cents BIGINT, computed_once INT>) AS meant
FROM parsed;

-- Why a message is refused, or null. Lateness is judged by the record's own time, not by a
-- watermark: that depends on what other partitions have delivered, so after a restart other events
-- would be late.
CREATE TEMPORARY VIEW judged AS
SELECT
    *,
    said.user_id AS user_id,
    said.transaction_id AS transaction_id,
    said.is_approved AS is_approved,
    meant.event_time AS event_time,
    meant.cents AS cents,
    CASE
        WHEN (said.user_id IS NULL OR said.amount IS NULL) AND message IS NOT JSON OBJECT
            THEN 'not_json'
        -- Flink stops reading where a value ends. What stands behind it breaks an array or an object
        -- around it; a message with one brace, at its end, need not be tried.
        WHEN POSITION('}' IN message) < CHAR_LENGTH(RTRIM(message)) AND NOT (
            CONCAT('[', message, ']') IS JSON ARRAY
            AND CONCAT('{"message":', message, '}') IS JSON OBJECT
        ) THEN 'not_json'
        WHEN said.user_id IS NULL OR said.user_id = '' THEN 'missing_user'
        WHEN said.amount IS NULL THEN 'missing_amount'
        WHEN meant.cents IS NULL THEN 'bad_amount'
        WHEN meant.event_time IS NULL THEN 'bad_time'
        -- Flink takes 30 February for the 28th.
        WHEN EXTRACT(DAY FROM meant.event_time) <> CAST(
            SUBSTRING(said.event_time FROM 9 FOR 2) AS INT
        ) THEN 'bad_time'
        WHEN meant.event_time < TIMESTAMPADD(SECOND, -${allowed_lateness_s}, record_time)
            THEN 'too_late'
        WHEN meant.event_time > TIMESTAMPADD(SECOND, ${allowed_ahead_s}, record_time)
            THEN 'too_far_ahead'
    END AS reason
FROM typed;

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
