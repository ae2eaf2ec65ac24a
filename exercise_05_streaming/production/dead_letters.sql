-- Refused records and duplicates, with their reason and how far their time is ahead of Kafka's. The
-- place in the log is the key, so a record that is read again after a restart is still one dead
-- letter. DECODE replaces what is no UTF-8: SUBSTRING of such a text ends the job.
CREATE TEMPORARY TABLE dead_letters (
    reason STRING,
    `partition` INT,
    `offset` BIGINT,
    record_time BIGINT,
    ahead_ms BIGINT,
    `value` STRING,
    PRIMARY KEY (`partition`, `offset`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = '${dead_letter_topic}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'key.format' = 'json',
    'value.format' = 'json'
);

CREATE TEMPORARY VIEW refused AS
SELECT
    reason, `partition`, `offset`,
    TIMESTAMPDIFF(MINUTE, TIMESTAMP '1970-01-01 00:00:00', record_time) * CAST(60000 AS BIGINT)
        + EXTRACT(SECOND FROM record_time) * 1000 + EXTRACT(MILLISECOND FROM record_time),
    parsed_message.ahead_ms,
    SUBSTRING(DECODE(message, 'UTF-8') FROM 1 FOR 10000)
FROM (
    SELECT reason, `partition`, `offset`, record_time, parsed_message, message
    FROM classified
    WHERE reason IS NOT NULL
    UNION ALL
    SELECT 'duplicate', `partition`, `offset`, record_time, parsed_message, message
    FROM numbered
    WHERE copy > 1
);
