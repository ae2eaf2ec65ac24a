-- Production's view `accepted`, in the place of the solution's: exact amounts, a reason for each
-- refused record, one row per user and transaction_id. A message is read as bytes, so that one that
-- cannot be parsed, or is not even text, becomes a dead letter.
CREATE TEMPORARY TABLE transactions (
    message BYTES,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    record_time TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL,
    clock STRING METADATA FROM 'timestamp-type' VIRTUAL,
    seen AS PROCTIME()
) WITH (
    'connector' = 'kafka',
    'topic' = '${topic}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.isolation.level' = 'read_committed',
    'properties.fetch.max.wait.ms' = '100',
    'scan.startup.mode' = 'specific-offsets',
    'scan.startup.specific-offsets' = '${offsets}',
    'scan.topic-partition-discovery.interval' = '5 s',
    'format' = 'raw'
);
-- One call parses a message. Flink inlines an expression wherever its alias is used, unless it is
-- non-deterministic, as this function is declared.
CREATE TEMPORARY FUNCTION read_transaction AS 'exercise_05_streaming.production.ReadTransaction';

CREATE TEMPORARY VIEW parsed AS
SELECT *, read_transaction(message, record_time) AS parsed_message
FROM transactions;

-- The reason why a message is refused, or null. Lateness is classified by the record's own time, not by
-- a watermark: that depends on what other partitions have delivered, so after a restart other events
-- would be late. A producer may give a record any time: it counts only in a log that had such records
-- when the job started, whose state lives longer.
CREATE TEMPORARY VIEW classified AS
SELECT
    *,
    parsed_message.user_id AS user_id,
    parsed_message.transaction_id AS transaction_id,
    parsed_message.cents AS cents,
    parsed_message.declined AS declined,
    parsed_message.event_ms AS event_ms,
    CASE
        WHEN parsed_message.malformed IS NOT NULL THEN parsed_message.malformed
        WHEN clock NOT IN (${clocks}) THEN 'time_of_producer'
        WHEN parsed_message.ahead_ms < -${allowed_lateness_ms} THEN 'too_late'
        WHEN parsed_message.ahead_ms > ${allowed_ahead_ms} THEN 'too_far_ahead'
    END AS reason
FROM parsed;

-- The number of each copy of a transaction. Ids are per user; an event without an id is its own
-- transaction. ROW_NUMBER could emit the first copy only, and the others are to be counted.
CREATE TEMPORARY VIEW numbered AS
SELECT
    *,
    COUNT(*) OVER (
        PARTITION BY user_id, COALESCE(
            transaction_id,
            CONCAT('at ', CAST(`partition` AS STRING), ':', CAST(`offset` AS STRING))
        )
        ORDER BY seen ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS copy
FROM classified
WHERE reason IS NULL;

CREATE TEMPORARY VIEW accepted AS
SELECT * FROM numbered WHERE copy = 1;
