-- What a message says. The function is called once for each: where Flink would copy an expression to
-- wherever its name is used, it keeps to what is not deterministic.
CREATE TEMPORARY FUNCTION read_transaction AS 'exercise_05_streaming.production.ReadTransaction';

CREATE TEMPORARY VIEW parsed AS
SELECT *, read_transaction(message, record_time) AS said
FROM ${log};

-- Why a message is refused, or null. Lateness is judged by the record's own time, not by a
-- watermark: that depends on what other partitions have delivered, so after a restart other events
-- would be late.
CREATE TEMPORARY VIEW judged AS
SELECT
    *,
    said.user_id AS user_id,
    said.transaction_id AS transaction_id,
    said.cents AS cents,
    said.declined AS declined,
    said.event_ms AS event_ms,
    CASE
        WHEN said.malformed IS NOT NULL THEN said.malformed
        WHEN said.ahead_ms < -${allowed_lateness_ms} THEN 'too_late'
        WHEN said.ahead_ms > ${allowed_ahead_ms} THEN 'too_far_ahead'
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
