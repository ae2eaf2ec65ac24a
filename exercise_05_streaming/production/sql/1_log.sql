-- The log as it is: whatever was sent, where it stands, and when Kafka got it. A message is not
-- parsed here, since one that cannot be parsed must be told of, not lost.
CREATE TEMPORARY TABLE transactions (
    message STRING,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    record_time TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL,
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
