-- What was not accepted, and why. Its place in the log is its key: told again after a restart, it is
-- still one dead letter.
CREATE TEMPORARY TABLE dead_letters (
    reason STRING,
    `partition` INT,
    `offset` BIGINT,
    record_time BIGINT,
    `value` STRING,
    PRIMARY KEY (`partition`, `offset`) NOT ENFORCED
) WITH (${dead_letters_sink});

INSERT INTO dead_letters
SELECT
    reason, `partition`, `offset`,
    TIMESTAMPDIFF(MINUTE, TIMESTAMP '1970-01-01 00:00:00', record_time) * CAST(60000 AS BIGINT)
        + EXTRACT(SECOND FROM record_time) * 1000 + EXTRACT(MILLISECOND FROM record_time),
    SUBSTRING(message FROM 1 FOR 10000)
FROM judged
WHERE reason IS NOT NULL;
