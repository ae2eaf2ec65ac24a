from pyflink.datastream import StreamExecutionEnvironment, TimeCharacteristic
from pyflink.table import StreamTableEnvironment
from pyflink.table.window import Tumble

env = StreamExecutionEnvironment.get_execution_environment()
env.set_parallelism(4)
tables = StreamTableEnvironment.create(env)

tables.execute_sql("""
    CREATE TABLE events (
        user_id STRING,
        amount DOUBLE,
        event_time TIMESTAMP(3),
        WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
    ) WITH (
        'connector' = 'kafka',
        'topic' = 'transactions',
        'properties.bootstrap.servers' = 'localhost:9092',
        'format' = 'json',
        'scan.startup.mode' = 'latest-offset'
    )
""")

tables.execute_sql("""
    CREATE TABLE five_minutes AS
    SELECT user_id, COUNT(*) AS transaction_count_5m
    FROM events
    GROUP BY user_id, TUMBLE(event_time, INTERVAL '5' MINUTE)
""")

tables.execute_sql("""
    CREATE TABLE sink (user_id STRING, transaction_count_5m BIGINT)
    WITH ('connector' = 'redis', 'command' = 'SET')
""")
tables.execute_sql("INSERT INTO sink SELECT * FROM five_minutes")

env.execute("features")
